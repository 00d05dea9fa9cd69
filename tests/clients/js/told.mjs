// What a client tells its user when a call is refused.
import assert from "node:assert/strict";

export async function told(call) {
  const refused = await call().then(() => assert.fail("this call must be refused"), (error) => error);
  return refused.message;
}
