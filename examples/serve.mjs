// Serves the files of this folder to a browser on this machine, for the pages of the README: node examples/serve.mjs [port]
import { createReadStream, realpathSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, sep } from 'node:path';

const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.mjs': 'text/javascript', '.json': 'application/json' };
const ROOT = realpathSync(process.cwd());

/** The file of an address, where it is a page or a script of this folder; null otherwise: keys lie here too. */
function fileOf(address) {
  try {
    const path = realpathSync(join(ROOT, decodeURIComponent(new URL(address, 'http://localhost').pathname)));
    const isOurs =
      path.startsWith(ROOT + sep) &&
      !path
        .slice(ROOT.length)
        .split(sep)
        .some((part) => part.startsWith('.') || part === 'data');
    return isOurs && extname(path) in TYPES && statSync(path).isFile() ? path : null;
  } catch {
    return null;
  }
}

const server = createServer((request, response) => {
  const path = fileOf(request.url ?? '/');
  if (path === null) return void response.writeHead(404).end('There is no such page or script.\n');
  createReadStream(path).pipe(response.writeHead(200, { 'content-type': TYPES[extname(path)] }));
});
server.listen(Number(process.argv[2] ?? 8000), '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}/`));
