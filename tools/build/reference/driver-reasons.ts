import { DRIVER_VOLUME } from '../../../contract/driver-volume.ts'
import { DRIVER_ERRORS, type DriverErrorCode } from '../../../driver/errors.ts'
import { code, section, table } from './markdown.ts'

interface Text {
  readonly means: string
  readonly fix: string
}

const AUTHOR = 'remove the volume; the webhook writes it'

const DRIVER: Readonly<Record<DriverErrorCode, Text>> = {
  ERR_REQUEST: {
    means:
      'the request is not one for a volume of the webhook: a PersistentVolume, not read-only, another name, `nodePublishSecretRef`; or pod information, tokens or `target_path` are missing or do not fit',
    fix: `${AUTHOR}. Otherwise the CSIDriver must have \`podInfoOnMount\` and \`tokenRequests\`, and \`--kubelet-folder\` must be that of the node`,
  },
  ERR_MESSAGE: {
    means: 'the bytes on the socket are not a message of the protocol',
    fix: 'happens only if somebody else than the kubelet calls',
  },
  ERR_AUDIENCE: {
    means: 'the kubelet sent no token for the audience that the pod needs',
    fix: 'add the audience to `tokenRequests` of the CSIDriver, or `nocreds.dev/exchanger: sidecar`',
  },
  ERR_ATTRIBUTE_MISSING: { means: 'a volume attribute is missing', fix: AUTHOR },
  ERR_ATTRIBUTE_UNKNOWN: {
    means: 'there is no volume attribute of that name',
    fix: `${AUTHOR}. After an upgrade, driver and webhook must be of one version`,
  },
  ERR_ATTRIBUTE_OUT_OF_BOUNDS: {
    means: 'the value of a volume attribute is not allowed',
    fix: `the message says what is allowed; ${AUTHOR}`,
  },
  ERR_ATTRIBUTE_CONFLICT: {
    means: 'two volume attributes contradict each other, or name a role twice',
    fix: AUTHOR,
  },
  ERR_TOKEN_POD: {
    means: 'a claim of the token is not what the kubelet says of the pod',
    fix: 'use the tokens of the kubelet alone',
  },
  ERR_BUSY: {
    means: 'too many calls at once, or one that takes too long',
    fix: 'the kubelet tries again',
  },
  ERR_VOLUME_NOT_READY: {
    means: 'the kubelet has not prepared the volume of the credentials or the certificate',
    fix: "the kubelet tries again. If it stays so, the kubelet's folder is not shared with the driver, or `--kubelet-folder` is not that of the node",
  },
  ERR_VOLUME_OCCUPIED: {
    means:
      "a file or folder of another user, or a link, has a name in the pod's volume that the driver needs",
    fix: 'delete the pod; nothing but nocreds may write there',
  },
  ERR_VOLUME: {
    means: "the pod's volume cannot be written or read; the message has the code of the system",
    fix: 'for `ENOSPC`, delete what the pod itself has written there',
  },
  ERR_SOCKET: {
    means: 'something that is no socket stands where the driver makes its own',
    fix: 'remove it from the node; this is in the log of the driver, and no event',
  },
}

/** As the kubelet, which is written in Go, spells a status: `InvalidArgument`. */
function goName(status: string): string {
  return status
    .split('_')
    .map((word) => word.slice(0, 1) + word.slice(1).toLowerCase())
    .join('')
}

export function driverReasons(): string {
  return section(
    'Refused by the driver',
    `The pod does not start. Its event has the reason \`FailedMount\` and says \`MountVolume.SetUp failed for volume "${DRIVER_VOLUME.name}" : rpc error: code = STATUS desc = MESSAGE\`. The code is the label \`reason\` of the metrics and a field of the log. For a pod that runs already, it is in the metrics and in the log alone.`,
    table(
      ['code', 'STATUS', 'what it means', 'fix'],
      Object.entries(DRIVER).map(([name, { means, fix }]) => [
        code(name),
        code(goName(DRIVER_ERRORS[name as DriverErrorCode])),
        means,
        fix,
      ]),
    ),
    'If STS or the authority refuses, STATUS is `Internal`, and MESSAGE is `CODE: text; hint`, with the codes and hints of [the sidecar](events.md#messages-of-the-sidecar).',
  )
}
