import type { ExchangerConfig } from '../../contract/exchanger-env.ts'
import type { NocredsError } from '../../platform/errors.ts'

/** The kubelet keeps at most 4096 bytes a container. Source: Kubernetes, "Determine the Reason for Pod Failure". */
const MAX_BYTES = 2048

/**
 * What `kubectl describe pod` shows under "Last State", "Message": the code, who wanted what, what was
 * said, and what to look at.
 */
export function terminationMessage(error: NocredsError, config?: ExchangerConfig): string {
  const who =
    config === undefined
      ? ''
      : ` (role ${config.roleArn}, ServiceAccount ${config.namespace}/${config.serviceAccount})`
  const hint = error.hint === undefined ? '' : ` Hint: ${error.hint}`
  const text = `${error.code}: ${error.message}.${who}${hint}`
  return Buffer.from(text).subarray(0, MAX_BYTES).toString('utf8')
}
