/** Which test or tool runs a command, and the text by which that file shows it. */
interface RunBy {
  readonly by: string
  readonly as: string
}

/** Why nothing runs a command here. */
interface NotRun {
  readonly why: string
}

const CI = '.ci/run'
const UPGRADE: RunBy = { by: 'e2e/faults/upgrade.test.ts', as: "commandsOf(PAGE, 'Upgrade')" }
const LISTS: RunBy = { by: 'docs/upgrade-commands.test.ts', as: "split('\\n## Upgrade\\n')" }
const UNINSTALL: RunBy = { by: 'e2e/faults/upgrade.test.ts', as: "commandsOf(PAGE, 'Uninstall')" }
const APPLY: RunBy = { by: 'e2e/faults/install.test.ts', as: "run('docs/install.md', 'Apply')" }
const MONITOR: RunBy = {
  by: 'e2e/faults/install.test.ts',
  as: "run('docs/operations.md', 'Monitor')",
}
const RESTART: RunBy = {
  by: 'e2e/faults/install.test.ts',
  as: "run('docs/operations.md', 'Change a setting')",
}
const IMAGES: RunBy = { by: 'e2e/cluster/images.ts', as: "'--target'," }
const OPENSSL: RunBy = {
  by: 'docs/page-commands.test.ts',
  as: "chapterOf('docs/install.md', 'Authenticate the apiserver to the webhook')",
}
const STANDALONE: RunBy = {
  by: 'docs/page-commands.test.ts',
  as: "chapterOf('docs/install.md', 'Try the webhook without a cluster')",
}
const CLIENT_CERTIFICATE: RunBy = {
  by: 'e2e/node/client-certificate.test.ts',
  as: 'manifests/overlays/client-certificate',
}
const DESCRIBE: RunBy = { by: 'e2e/promises/trust.test.ts', as: "['describe', 'pod', 'app'" }
const LOGS: RunBy = { by: 'e2e/promises/trust.test.ts', as: "'-c', 'nocreds-exchanger'" }
const DOCUMENTS: RunBy = { by: 'e2e/cluster/aws.ts', as: "'/openid/v1/jwks'" }

const NEEDS_AWS: NotRun = { why: 'it needs an account of AWS' }
const NEEDS_OPENSHIFT: NotRun = { why: 'it needs OpenShift' }
const OTHER_WORDS: NotRun = {
  why: 'of kubectl alone; the suite creates and looks at pods by others',
}
const DRIVER: NotRun = { why: 'the suite on a cluster does not build and install the driver yet' }
const HOURS: NotRun = { why: 'it takes an hour, and a quiet machine; a maintainer runs it' }

/** Every command of a shell block of a page, as it stands there but for its comment. */
export const COMMANDS: Readonly<Record<string, RunBy | NotRun>> = {
  'make demo': { by: CI, as: 'step make demo' },
  'make test': { by: CI, as: 'step make test' },
  'make e2e': { by: CI, as: 'step make e2e' },
  'make help': { by: 'docs/page-commands.test.ts', as: "'make', ['help']" },
  'make format': { why: 'it changes files' },
  'make e2e-apiserver': {
    why: 'it needs the programs of two versions of Kubernetes; a maintainer runs it',
  },
  'make e2e-matrix-report': { why: 'it writes the report of the last run of the suite' },
  'make bench': HOURS,
  'make bench-guard': HOURS,
  'make simulate': HOURS,
  'make simulate SEED=1': HOURS,
  'npm run manifests': { by: 'Makefile', as: 'npm run --silent manifests' },
  'npm run docs': { by: 'Makefile', as: 'npm run --silent docs' },
  "git grep -nF 0.1.0 -- ':!*.test.ts' ':!*/testdata/*' ':!package-lock.json' ':!e2e/tools'": {
    why: 'for a person, who reads what it finds',
  },

  'docker build --target webhook -t nocreds/webhook:0.1.0 .': IMAGES,
  'docker build --target authority -t nocreds/authority:0.1.0 .': IMAGES,
  'docker build --target exchanger -t nocreds/exchanger:0.1.0 .': IMAGES,
  'docker build --target driver -t nocreds/driver:0.1.0 .': DRIVER,
  'kubectl apply -f manifests/install-driver.yaml': DRIVER,
  'kubectl -n nocreds-driver rollout status daemonset/nocreds-driver': DRIVER,
  'kubectl delete -f manifests/install-driver.yaml': DRIVER,
  "docker inspect --format '{{index .RepoDigests 0}}' nocreds/exchanger:0.1.0": {
    why: 'it needs a registry to which the image was pushed',
  },
  'kubectl apply -f manifests/install.yaml': APPLY,
  'kubectl -n nocreds-system rollout status deployment/nocreds-webhook deployment/nocreds-authority':
    APPLY,
  'kubectl annotate namespace default nocreds.dev/permitted-roles=.+ --overwrite --dry-run=server -o jsonpath=\'{.metadata.labels.nocreds\\.dev/injection}{"\\n"}\'':
    APPLY,

  'openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj /CN=apiserver-clients -keyout client-ca.key -out client-ca.crt -addext basicConstraints=critical,CA:TRUE':
    OPENSSL,
  'openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=kube-apiserver -keyout client.key -out client.csr':
    OPENSSL,
  'printf extendedKeyUsage=clientAuth > client.ext': OPENSSL,
  'openssl x509 -req -in client.csr -CA client-ca.crt -CAkey client-ca.key -days 365 -extfile client.ext -out client.crt':
    OPENSSL,
  'kubectl -n nocreds-system create secret generic nocreds-webhook-client-ca --from-file=ca.crt=client-ca.crt':
    { by: CLIENT_CERTIFICATE.by, as: "const SECRET = 'nocreds-webhook-client-ca'" },
  'kubectl apply -k manifests/overlays/client-certificate': CLIENT_CERTIFICATE,

  'npm ci && npm run build': { by: 'Makefile', as: 'npm run --silent build' },
  'npm run certificate -- /tmp/nocreds': STANDALONE,
  'npm run webhook -- --objects tools/demo/cluster/objects.yaml --exchanger-image nocreds/exchanger:0.1.0 --tls files --tls-cert /tmp/nocreds/tls.crt --tls-key /tmp/nocreds/tls.key &':
    STANDALONE,
  "curl --retry 9 --retry-connrefused --cacert /tmp/nocreds/ca.crt -H 'content-type: application/json' --data @tools/demo/cluster/review.json https://127.0.0.1:8443/mutate/pods":
    STANDALONE,

  'kubectl -n team-a rollout restart deployment': OTHER_WORDS,
  'kubectl -n team-a describe pod app': DESCRIBE,
  'kubectl -n team-a logs app -c nocreds-exchanger': LOGS,
  'kubectl -n team-a describe replicaset app': OTHER_WORDS,

  'kubectl -n nocreds-system rollout restart deployment/nocreds-webhook deployment/nocreds-authority':
    RESTART,
  'kubectl -n nocreds-system logs --prefix -l app.kubernetes.io/name=nocreds-webhook': MONITOR,
  'kubectl -n nocreds-system logs --prefix -l app.kubernetes.io/name=nocreds-authority': MONITOR,
  'kubectl apply -k manifests/guard': UPGRADE,
  'kubectl -n nocreds-system rollout pause deployment/nocreds-webhook': UPGRADE,
  'sleep 5': UPGRADE,
  'kubectl patch mutatingwebhookconfiguration nocreds --type=json --patch=\'[{"op": "replace", "path": "/webhooks/0/reinvocationPolicy", "value": "Never"}]\'':
    UPGRADE,
  'kubectl -n nocreds-system rollout resume deployment/nocreds-webhook': UPGRADE,
  'kubectl annotate namespace NAMESPACE nocreds.dev/permitted-deliveries=process,endpoint,web-identity':
    UPGRADE,
  'kubectl delete validatingadmissionpolicybinding -l app.kubernetes.io/name=nocreds-guard':
    UNINSTALL,
  'kubectl delete -f manifests/install.yaml --ignore-not-found': UNINSTALL,

  'kubectl get --raw /.well-known/openid-configuration': DOCUMENTS,
  'kubectl get --raw /openid/v1/jwks': DOCUMENTS,
  'aws eks describe-cluster --name CLUSTER --query cluster.identity.oidc.issuer --output text':
    NEEDS_AWS,
  'aws iam create-open-id-connect-provider --url https://oidc.example.com/my-cluster --client-id-list sts.amazonaws.com':
    NEEDS_AWS,
  'talosctl --nodes NODES patch machineconfig --patch @issuer.yaml': { why: 'it needs Talos' },
  'oc patch authentication.config.openshift.io cluster --type=merge -p \'{"spec":{"serviceAccountIssuer":"https://oidc.example.com/my-cluster"}}\'':
    NEEDS_OPENSHIFT,
  'oc adm policy add-scc-to-user nonroot-v2 -z nocreds-webhook -n nocreds-system': NEEDS_OPENSHIFT,
  'oc adm policy add-scc-to-user nonroot-v2 -z nocreds-authority -n nocreds-system':
    NEEDS_OPENSHIFT,
}

/** Commands that begin like this, too long to be written here once more. */
export const BEGINNINGS: Readonly<Record<string, RunBy>> = {
  'kubectl get serviceaccounts,pods --all-namespaces -o jsonpath=': LISTS,
  'kubectl get pods --all-namespaces -o jsonpath=': LISTS,
}
