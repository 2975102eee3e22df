/** Run in a container: prints the audiences of every token in a file, an environment or another process that it can read. */
export const FIND_TOKENS = String.raw`
  const { readdirSync, readFileSync, lstatSync, statSync } = require('node:fs')
  const found = new Set()
  const attempt = (action) => { try { return action() } catch { return undefined } }
  const look = (file) => attempt(() => {
    for (const [, claims] of readFileSync(file, 'latin1').matchAll(/eyJ[\w-]+\.(eyJ[\w-]+)\.[\w-]+/g))
      attempt(() => [JSON.parse(Buffer.from(claims, 'base64url')).aud].flat().forEach((one) => found.add(one)))
  })
  const walk = (folder) => attempt(() => readdirSync(folder))?.forEach((name) => {
    const path = folder + '/' + name
    // What a link leads to counts too, but not /proc/kcore or a device, which have no end.
    const { isFile, size } = attempt(() => { const at = statSync(path); return { isFile: at.isFile(), size: at.size } }) ?? {}
    if (attempt(() => lstatSync(path))?.isDirectory()) {
      if (!['//proc', '//sys', '//dev'].includes(path)) walk(path)
    } else if (isFile && size < 1e6) look(path)
  })
  walk('/')
  for (const process of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    look('/proc/' + process + '/environ')
    look('/proc/' + process + '/cmdline')
    if (process !== '1') walk('/proc/' + process + '/root/var/run/secrets')
  }
  console.log(JSON.stringify([...found]))`
