/**
 * What others may add to the sidecar because it cannot affect what it does. The guard has the same rules, in CEL; a
 * test compares the patterns and names of both.
 */

/** What ld.so, glibc, OpenSSL and Node read before the program starts. Source: ld.so(8), glibc's unsecvars.h. */
export const LOADER_VARIABLES = {
  pattern: '^(NODE_|LD_|SSL|OPENSSL|UV_|GLIBC_|MALLOC_)',
  names: [
    ...['PATH', 'GCONV_PATH', 'GETCONF_DIR', 'HOSTALIASES', 'LOCALDOMAIN', 'LOCPATH', 'NIS_PATH'],
    ...['NLSPATH', 'RES_OPTIONS', 'RESOLV_HOST_CONF', 'TZDIR'],
  ],
} as const

/** Prefix of the exchanger's own variables; one that the webhook does not write is never harmless. */
export const OWN_VARIABLES = 'NOCREDS_'

const LOADER = new RegExp(LOADER_VARIABLES.pattern)

/** True for a variable that others may add to the sidecar. */
export function isHarmlessVariable(name: string): boolean {
  const names: readonly string[] = LOADER_VARIABLES.names
  return !name.startsWith(OWN_VARIABLES) && !LOADER.test(name) && !names.includes(name)
}

/** A path in its shortest form; any other could mean another one. */
export const PLAIN_PATH = { whole: '^(/[^/]+)+/?$', dots: '/[.]{1,2}(/|$)' } as const

/** At, below or above these are the program, Node, libraries, and what the exchanger reads. */
export const COVERED_PATHS = [
  '^/(nocreds|node_modules|usr|lib[^/]*|bin|sbin|nodejs|proc|dev)(/|$)',
  '^/(var/)?run/secrets/nocreds[.]dev(/|$)',
  '^/(var|run|var/run|run/secrets|var/run/secrets)/?$',
] as const

/** Of /etc only certificates: OpenSSL in Node reads its configuration there, and loads modules that it names. */
export const ETC_PATHS = {
  all: '^/etc(/|$)',
  certificates: '^/etc/(ssl/certs|pki/ca-trust|pki/tls/certs)(/|$)',
} as const

const matches = (pattern: string, path: string): boolean => new RegExp(pattern).test(path)

/** True for a path where others may mount their own volume. */
export function isHarmlessPath(path: string): boolean {
  if (!matches(PLAIN_PATH.whole, path) || matches(PLAIN_PATH.dots, path)) return false
  if (COVERED_PATHS.some((pattern) => matches(pattern, path))) return false
  return !matches(ETC_PATHS.all, path) || matches(ETC_PATHS.certificates, path)
}
