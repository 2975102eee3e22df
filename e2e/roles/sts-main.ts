/**
 * The embedded STS as a program in a pod: the cluster's issuer is its OIDC provider. `versitygw` has no AssumeRole.
 *
 * Environment: `ISSUER_URL`; `ISSUER_CA`, a file; `ROLES`, roles as JSON; `PORT`, which leads to STS; `SESSIONS_PORT`,
 * which tells what its sessions have, and none of their secrets.
 */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { connect, createServer as createTcpServer } from 'node:net'
import { realClock } from '../../shared/base/clock.ts'
import type { Role } from '../../test/fakes/sts/actions.ts'
import { startSts } from '../../test/fakes/sts/server.ts'

const { ISSUER_URL = '', ISSUER_CA = '', ROLES = '[]', PORT, SESSIONS_PORT } = process.env

const sts = await startSts({
  clock: realClock,
  issuers: [{ url: ISSUER_URL, caPem: readFileSync(ISSUER_CA, 'utf8') }],
  roles: JSON.parse(ROLES) as Role[],
})

// It listens on loopback alone.
const stsPort = Number(new URL(sts.url).port)
createTcpServer((socket) => {
  const inside = connect(stsPort, '127.0.0.1')
  for (const one of [socket, inside]) one.on('error', () => one.destroy())
  socket.pipe(inside).pipe(socket)
}).listen(Number(PORT))

createServer((_request, response) => {
  const sessions = sts.sessions().map(({ arn, tags, transitiveTagKeys, policy, policyArns }) => {
    return { arn, tags: Object.fromEntries(tags), transitiveTagKeys, policy, policyArns }
  })
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify(sessions))
}).listen(Number(SESSIONS_PORT))
