import { TLS_DIR_ENV } from '../../../contract/certificates.ts'
import { AWS_ENV, CONFLICTING_ENV } from '../../../contract/names.ts'
import { appSide, hasOtherRole, type AppSide } from '../inject/deliveries.ts'
import { equalIgnoringNulls } from '../inject/equal.ts'
import type { Injection } from '../inject/injection.ts'
import { slotNumberOf } from '../inject/slots.ts'
import type { Container, EnvVar, Pod } from '../pod.ts'

/** Variables of a container that conflict with what it would get. */
export function variableWarnings(
  container: Container,
  { app, injection, pod }: { app: AppSide; injection: Injection; pod: Pod },
): string[] {
  if (hasOtherRole(container, app)) return [otherRoleWarning(container, injection)]
  const slot = slotNumberOf(container.name, injection.request.credentials)
  const conflicting = slot === undefined ? [] : CONFLICTING_ENV
  return envWarnings(container, variablesInTheWay(container, app, conflicting), () =>
    variablesInTheWay(container, appSide(injection, unnamed(pod), slot), conflicting),
  )
}

function otherRoleWarning({ name }: Container, { request }: Injection): string {
  const role = request.credentials?.role.arn ?? ''
  return `nocreds: container ${name} sets ${AWS_ENV.roleArn} to another role or with valueFrom, so it gets no token, no mount and no session name; remove it to get ${role}`
}

const LOSERS: Readonly<Record<string, string>> = {
  [TLS_DIR_ENV]: 'folder',
  [AWS_ENV.stsEndpoint]: 'STS endpoint',
}

/** The pod without its name: another webhook may set one between two passes. */
function unnamed(pod: Pod): Pod {
  return { ...pod, metadata: { ...pod.metadata, name: undefined } }
}

/** @param inTheWay names; only those count that are also in `inAnyForm`, for every name of the pod */
function envWarnings(
  { name }: Container,
  inTheWay: readonly string[],
  inAnyForm: () => readonly string[],
): string[] {
  if (inTheWay.length === 0) return []
  const lasting = inAnyForm()
  return inTheWay
    .filter((one) => lasting.includes(one))
    .map(
      (one) =>
        `nocreds: container ${name} sets ${one}, which takes precedence over the ${LOSERS[one] ?? 'credentials'} of nocreds; remove it`,
    )
}

/** A variable that nocreds sets conflicts only if the container sets it to another value. */
function variablesInTheWay(
  { env }: Container,
  app: AppSide,
  conflicting: readonly string[],
): string[] {
  const standsInTheWay = (variable: EnvVar): boolean => {
    const injected = app.env.find((one) => one.name === variable.name)
    if (injected === undefined) return conflicting.includes(variable.name)
    return variable.name !== AWS_ENV.metadataDisabled && !equalIgnoringNulls(variable, injected)
  }
  return (env ?? []).filter(standsInTheWay).map(({ name }) => name)
}
