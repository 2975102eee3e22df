import { splitPem } from '../../shared/x509/pem.ts'
import { createCa, issueLeaf, type Issued } from './certificates.ts'
import type { RotationPolicy, RotationStep, TlsState } from './rotation.ts'

/** Applies one step of rotation.ts; `up-to-date` needs none. */
export async function applyStep(
  step: Exclude<RotationStep, 'up-to-date'>,
  state: TlsState | undefined,
  nowMs: number,
  policy: RotationPolicy,
): Promise<TlsState> {
  if (state === undefined || step === 'reset') return reset(nowMs, policy)
  switch (step) {
    case 'add-ca': {
      const ca = await createCa({ nowMs, lifetimeSeconds: policy.caLifetimeSeconds })
      const bundlePem = [ca.certPem, ...stillTrusted(state)].join('')
      return { ...state, caCertPem: ca.certPem, caKeyPem: ca.keyPem, bundlePem }
    }
    case 'renew-leaf':
      return { ...state, ...(await leafOf(caOf(state), nowMs, policy)) }
    case 'drop-old-cas':
      return { ...state, bundlePem: state.caCertPem }
  }
}

async function reset(nowMs: number, policy: RotationPolicy): Promise<TlsState> {
  const ca = await createCa({ nowMs, lifetimeSeconds: policy.caLifetimeSeconds })
  return {
    caCertPem: ca.certPem,
    caKeyPem: ca.keyPem,
    bundlePem: ca.certPem,
    ...(await leafOf(ca, nowMs, policy)),
  }
}

function caOf(state: TlsState): Issued {
  return { certPem: state.caCertPem, keyPem: state.caKeyPem }
}

function leafOf(ca: Issued, nowMs: number, policy: RotationPolicy): Promise<Issued> {
  const { dnsNames, leafLifetimeSeconds } = policy
  return issueLeaf({ ca, dnsNames, nowMs, lifetimeSeconds: leafLifetimeSeconds })
}

/** A bundle grows by one CA at a time; more than a few are possible only with very short lifetimes. */
const MAX_OLD_CAS = 3

function stillTrusted(state: TlsState): string[] {
  return splitPem(state.bundlePem).slice(0, MAX_OLD_CAS)
}
