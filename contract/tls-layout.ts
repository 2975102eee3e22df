import { TLS_FILES } from './certificates.ts'

/**
 * How a pod's certificate stands in its folder, as the kubelet's atomic writer does it: each generation is a
 * folder of its own, and `tls.key` and its like are links through one link to the present one.
 */

/** The link that leads to the present generation, as the kubelet names its own. */
export const CURRENT = '..data'

/** When it begins and ends, beside the files, so that a restart needs no X.509 parser. */
export const VALIDITY = '.until'

/** All files of a generation. */
export const GENERATION_FILES: readonly string[] = [...Object.values(TLS_FILES), VALIDITY]

const GENERATION = /^\.\.gen-([1-9]\d{0,14})$/

export function generationName(number: number): string {
  return `..gen-${number}`
}

/** 0 for what is no generation. */
export function generationNumber(name: string): number {
  return Number(GENERATION.exec(name)?.[1] ?? 0)
}
