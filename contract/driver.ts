/** The DaemonSet that serves pods without a sidecar, as its manifests, the authority and the guard know it. */
export const DRIVER = {
  /** Of its own: the folders of the node that it mounts need Pod Security level privileged. */
  namespace: 'nocreds-driver',
  name: 'nocreds-driver',
  /** Metrics and probes, plain HTTP. */
  metricsPort: 9092,
  /** Lifetime of the tokens that the CSIDriver requests; the guard refuses longer ones for the authority. */
  tokenExpirationSeconds: 3600,
} as const
