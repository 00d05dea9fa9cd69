// A real authorization server (oidc-provider: OpenID certified, with its own sign-in and consent pages) and an API that asks it about every token.
// Says as JSON where both listen, reads where it may send browsers back to, says that it is ready, and ends when its stdin does. `GET /seen` of the API
// tells what it was called with and what happened to tokens.

import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { Provider } from 'oidc-provider';

const [secret] = process.argv.slice(2);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);

const listening = async (server) => {
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server.address().port;
};

// The issuer has to name the port, so it is taken first. Browsers know the server as another site than the gateway's 127.0.0.1.
let provider;
const server = createServer((request, answer) => provider.callback()(request, answer));
const port = await listening(server);
const issuer = `http://localhost:${port}`;
// What happened to tokens, in order.
const happened = [];
const calls = [];
const api = createServer(async (request, answer) => {
  const send = (status, body) => answer.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  if (request.url === '/seen') return send(200, { calls, happened });
  const [, bearer] = (request.headers.authorization ?? '').match(/^Bearer (.+)$/) ?? [];
  const token = bearer && (await provider.AccessToken.find(bearer));
  calls.push({ target: request.url, token: bearer, live: Boolean(token) });
  if (!token) return send(401, { error: 'invalid_token' });
  return send(200, { owner: token.accountId, scope: token.scope });
});
say({ issuer, server: `http://127.0.0.1:${port}`, api: `http://127.0.0.1:${await listening(api)}` });

const { value: redirect } = await lines.next();
provider = new Provider(issuer, {
  clients: [{ client_id: 'e2e', client_secret: secret, redirect_uris: [redirect], grant_types: ['authorization_code', 'refresh_token'] }],
  scopes: ['openid', 'offline_access', 'records.read', 'records.write'],
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  features: { revocation: { enabled: true }, introspection: { enabled: true } },
  pkce: { required: () => true },
  rotateRefreshToken: true,
  ttl: { AccessToken: 3600, RefreshToken: 86_400, AuthorizationCode: 60, Interaction: 600, Session: 600, Grant: 86_400 },
  cookies: { keys: ['a key for signing cookies of a test'] },
});

for (const name of ['authorization_code.consumed', 'refresh_token.saved', 'refresh_token.consumed', 'refresh_token.destroyed', 'access_token.destroyed', 'grant.revoked', 'server_error']) {
  provider.on(name, () => happened.push(name));
}
say({ ready: true });

await lines.next();
process.exit(0);
