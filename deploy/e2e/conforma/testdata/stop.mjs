// In place of Conforma's stop.mjs: see launch.mjs.
import { readFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import path from 'node:path'

const [, script, site] = process.argv
const port = /^PORT=(\d+)$/m.exec(readFileSync(path.join(path.dirname(script), 'env_files', `${site}.env`), 'utf-8'))[1]
const name = `conforma-${site}-on-${port}`
const stopped = spawnSync('sudo', ['-E', 'docker', 'compose', '--project-name', name, 'down'], { stdio: 'inherit' })
console.log(stopped.status === 0 ? `DONE: Successfully stopped ${name}` : `ERROR: Problem stopping ${name}`)
