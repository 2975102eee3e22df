import * as z from 'zod'
import { NocredsError } from '../../shared/base/errors.ts'
import type { Operation } from '../../shared/server/kube/kube-client.ts'
import { checkInPlace } from '../admit/check-in-place.ts'
import type { Verdict } from '../admit/verdict.ts'

const requestSchema = z.looseObject({
  uid: z.string().min(1),
  kind: z.looseObject({ kind: z.string() }),
  operation: z.enum(['CREATE', 'UPDATE', 'DELETE', 'CONNECT']),
  name: z.string().nullish(),
  namespace: z.string().nullish(),
  dryRun: z.boolean().nullish(),
  // Absent, null and undefined are one: the apiserver drops more of its nulls with each release.
  object: z.unknown().optional(),
  oldObject: z.unknown().optional(),
})

const reviewSchema = z.looseObject({
  apiVersion: z.literal('admission.k8s.io/v1'),
  kind: z.literal('AdmissionReview'),
  request: requestSchema,
})

const checkReview = checkInPlace(reviewSchema)

export type AdmissionRequest = Readonly<z.infer<typeof requestSchema>>

/**
 * Reads an AdmissionReview v1. Unknown fields are fine: the apiserver adds some with every release.
 * Source: Kubernetes, "Dynamic Admission Control", Request.
 *
 * @param kind the kind of object that this path takes
 * @throws NocredsError for a body that is not an AdmissionReview: answered with HTTP 400, because there is no uid to answer to
 */
export function readReview(body: Buffer, kind: 'Pod' | 'Namespace'): AdmissionRequest {
  let json: unknown
  try {
    json = JSON.parse(body.toString('utf8'))
  } catch {
    throw new NocredsError('ERR_NOT_JSON', 'the body is not JSON; allowed: an AdmissionReview v1')
  }
  const parsed = checkReview(json)
  if (!parsed.success) {
    const problems = parsed.error.issues
      .slice(0, 5)
      .map((issue) => `${issue.path.join('.') || 'body'}: ${issue.message}`)
    throw notAReview(`the body is not an AdmissionReview v1: ${problems.join('; ')}`)
  }
  const { request } = parsed.data
  if (request.kind.kind !== kind) {
    throw notAReview(`request.kind.kind is ${JSON.stringify(request.kind.kind)}; allowed: ${kind}`)
  }
  return request
}

/** Where the apiserver writes it: first in the request, which follows kind and apiVersion. */
const UID_AT_START = /^\{(?:"(?:kind|apiVersion)":"[^"]*",)*"request":\{"uid":"([\w-]{1,128})"/

/**
 * The uid of a review of which only the start is known; undefined if absent.
 *
 * @param start its first 200 characters, or more
 */
export function uidOf(start: string): string | undefined {
  return UID_AT_START.exec(start)?.[1]
}

/** The first thing wrong with the object of a review, in words for its author. */
export function firstProblem(error: z.ZodError): string {
  const [issue] = error.issues
  return `object.${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`
}

function notAReview(message: string): NocredsError {
  return new NocredsError('ERR_NOT_AN_ADMISSION_REVIEW', message)
}

/** The names that Kubernetes clients know for each status; controllers retry 5xx. */
const STATUS_REASON: Readonly<Record<number, string>> = {
  403: 'Forbidden',
  413: 'RequestEntityTooLarge',
  500: 'InternalError',
  503: 'ServiceUnavailable',
}

/** Characters; a message may quote a value as long as the review itself. */
const MAX_MESSAGE = 10_000

/**
 * The answer to a review, as JSON text.
 * Source: Kubernetes, "Dynamic Admission Control", Response.
 */
export function writeReview(uid: string, verdict: Verdict): string {
  const response =
    verdict.decision === 'denied'
      ? {
          uid,
          allowed: false,
          status: {
            code: verdict.status,
            reason: STATUS_REASON[verdict.status],
            message: `nocreds: ${verdict.message.slice(0, MAX_MESSAGE)} (${verdict.reason})`,
          },
        }
      : {
          uid,
          allowed: true,
          ...(verdict.warnings.length > 0 ? { warnings: verdict.warnings } : {}),
        }
  const text = JSON.stringify({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    response,
  })
  const hasPatch = verdict.decision !== 'denied' && verdict.patch.length > 0
  return hasPatch ? withPatch(text, verdict.patch) : text
}

/** Base64 needs no escaping, so the patch, most of the answer, is inserted rather than scanned. */
function withPatch(text: string, patch: readonly Operation[]): string {
  const base64 = Buffer.from(JSON.stringify(patch)).toString('base64')
  return `${text.slice(0, -2)},"patchType":"JSONPatch","patch":"${base64}"}}`
}
