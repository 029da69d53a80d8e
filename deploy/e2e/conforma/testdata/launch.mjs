// In place of Conforma's launch.mjs: the same arguments, files, commands and last words, and an exit code of 0 whatever happens.
import { readFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import path from 'node:path'

const [, script, site] = process.argv
const folder = path.dirname(script)
const file = path.join(folder, 'env_files', `${site}.env`)
const read = (name) =>
  Object.fromEntries(readFileSync(name, 'utf-8').split('\n').map((line) => /^([A-Z_0-9]+)=(?:'|")?(.+?)(?:'|")?$/.exec(line)).filter(Boolean).map((m) => [m[1], m[2]]))
const defaults = read(path.join(folder, 'default.env'))
const own = read(file)
process.env.TAG ??= own.TAG ?? defaults.TAG
process.env.PORT_APP = own.PORT
process.env.ENV_FILE = file
const name = `conforma-${site}-on-${own.PORT}`
const docker = (...args) => spawnSync('sudo', ['-E', 'docker', 'compose', ...args], { stdio: 'inherit' }).status
if (docker('--project-name', name, 'down') !== 0) console.log(`ERROR: Problem stopping ${name}`)
else if (docker('-f', path.join(folder, 'docker-compose.yml'), '--project-name', name, 'up', '-d') !== 0)
  console.log(`ERROR: Problem launching ${name}`)
else console.log(`DONE: Successfully launched ${name}`)
