import { slotsOf, type CredentialsSlot } from '../contract/container-roles.ts'
import type { CredentialsConfig } from '../contract/exchanger-env.ts'

/** The roles of a sidecar's pod, each with the configuration of a sidecar that has it alone. */
export function sidecarSlotsOf(
  config: CredentialsConfig,
): readonly { readonly slot: CredentialsSlot; readonly wanted: CredentialsConfig }[] {
  return slotsOf(config, config.credentialsFolder).map(({ slot, wanted }) => ({
    slot,
    wanted: { ...wanted, credentialsFolder: slot.folder },
  }))
}
