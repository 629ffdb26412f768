// What a client does that @hey-api/openapi-ts has made of the document of a server, which is the first argument: it logs
// in, lists, rotates and logs out. It is compiled beside `generated`, so the types of the document are checked too.

import { client } from './generated/client.gen';
import { endSession, getToken, labelSession, listSessions, logout, rotate, verify } from './generated/sdk.gen';
import type { KnoxListedSession } from './generated/types.gen';

declare const process: { argv: string[] };

function assert(holds: boolean, what: unknown): asserts holds {
  if (!holds) throw new Error(JSON.stringify(what));
}

async function main() {
  let token: string | undefined;
  const auth = ({ scheme }: { scheme?: string }) => (scheme === 'bearer' ? token : 'alice:wonderland');
  client.setConfig({ baseUrl: process.argv[2], auth });

  const nobody = await listSessions();
  assert(nobody.response.status === 401 && nobody.error?.code === 'missing_token', nobody.error);

  const wrong = await getToken({ auth: undefined, body: { username: 'alice', password: 'builder' } });
  assert(wrong.response.status === 401 && wrong.error?.code === 'invalid_credentials', wrong.error);

  // By JSON, and by HTTP Basic.
  const other = await getToken({ auth: undefined, body: { username: 'alice', password: 'wonderland' } });
  assert(other.data !== undefined, other.error);
  const login = await getToken();
  assert(login.data !== undefined, login.error);
  token = login.data.access_token;
  const id: string = login.data.session_id;

  const current = async (): Promise<KnoxListedSession> => {
    const listed = await listSessions();
    assert(listed.data !== undefined, listed.error);
    const [session, ...rest] = listed.data.filter((session) => session.current);
    assert(session !== undefined && rest.length === 0, listed.data);
    return session;
  };
  assert((await current()).id === id, 'the session that has just begun asks');

  const ended = await endSession({ path: { id: other.data.session_id } });
  assert(ended.response.status === 204, ended.error);
  const twice = await endSession({ path: { id: other.data.session_id } });
  assert(twice.response.status === 404 && twice.error?.code === 'not_found', twice.error);

  const labelled = await labelSession({ path: { id }, body: { label: 'Kitchen tablet' } });
  assert(labelled.data?.label === 'Kitchen tablet', labelled.error);

  const rotated = await rotate();
  assert(rotated.data !== undefined && rotated.data.session_id === id, rotated.error);
  assert(rotated.data.access_token !== token, 'it is a new token');
  token = rotated.data.access_token;
  assert((await current()).label === 'Kitchen tablet', 'the session has stayed');

  const left = await logout();
  assert(left.response.status === 204, left.error);
  const after = await verify();
  assert(after.response.status === 401 && after.error?.code === 'invalid_token', after.error);
}

void main();
