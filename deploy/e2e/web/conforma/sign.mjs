// Signs as Conforma does (its authentication.ts): jsonwebtoken's default algorithm, no exp, the audience in the payload. Reads
// {secret, payloads} from standard input, so that no secret is an argument, and writes the tokens.
import { readFileSync } from "node:fs";
import jwt from "jsonwebtoken";

const { secret, payloads } = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify(payloads.map((payload) => jwt.sign(payload, secret))));
