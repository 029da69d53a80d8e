// The application in the "container": each POST is a line in its database, which is a file. It takes a while to start, and
// ends with the folder of its test.
import { appendFileSync, existsSync } from 'node:fs'
import { createServer } from 'node:http'

const [, , folder, port] = process.argv
setInterval(() => existsSync(folder) || process.exit(), 200)
const server = createServer((request, answer) => {
  let body = ''
  request.on('data', (data) => (body += data))
  request.on('end', () => {
    if (request.method === 'POST') appendFileSync(`${folder}/database`, body + '\n')
    answer.setHeader('Content-Type', 'application/json')
    answer.setHeader('X-App', 'demo')
    answer.end('{}')
  })
})
if (process.env.TAG !== 'never-healthy') setTimeout(() => server.listen(Number(port), '127.0.0.1'), 300)
