import { randomBytes } from 'node:crypto';
import { eventually } from '../support/eventually.ts';
import { apiConformance } from './api-conformance.ts';
import { type ApiConnection, type ApiObject, type ApiUnderTest, sendTo, watchAt } from './api-under-test.ts';
import type { RoleRule } from './fake-access.ts';
import { NO_REAL_API, openRealApi, type RealApi } from './real-api.ts';

if (NO_REAL_API === undefined) apiConformance('a real one', start);
else console.log(NO_REAL_API);

async function start(): Promise<ApiUnderTest> {
  const real = await openRealApi();
  const namespace = `afterwrite-${randomBytes(4).toString('hex')}`;
  const connection = await real.connection();
  await made(connection, '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  return {
    namespace,
    send: (request) => sendTo(connection, request),
    sendAs: async (rules, request) => {
      const user = await userWith(connection, namespace, rules);
      return sendTo({ ...connection, headers: { ...connection.headers, 'Impersonate-User': user } }, request);
    },
    watch: (path, until) => watchAt(connection, path, until),
    compact: () => forgotten(real),
    close: async () => {
      await sendTo(connection, { method: 'DELETE', path: `/api/v1/namespaces/${namespace}` });
      await real.stop();
    },
  };
}

/** Its watch cache begins anew with it, and knows nothing of before. */
async function forgotten({ restart }: RealApi): Promise<boolean> {
  if (restart === undefined) return false;
  await restart();
  return true;
}

const users = new Map<string, string>();

/** A user of a name that nobody has, with a Role of these rules. The authorizer learns of it a moment later. */
async function userWith(connection: ApiConnection, namespace: string, rules: readonly RoleRule[]): Promise<string> {
  const known = users.get(JSON.stringify(rules));
  if (known !== undefined) return known;
  const user = `afterwrite-${randomBytes(4).toString('hex')}`;
  users.set(JSON.stringify(rules), user);
  const access = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}`;
  const head = { apiVersion: 'rbac.authorization.k8s.io/v1', metadata: { name: user } };
  await made(connection, `${access}/roles`, { ...head, kind: 'Role', rules });
  await made(connection, `${access}/rolebindings`, {
    ...head,
    kind: 'RoleBinding',
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: user },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: user }],
  });
  const [rule] = rules;
  await eventually('the role counts', async () => {
    const review = await made(connection, '/apis/authorization.k8s.io/v1/subjectaccessreviews', {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      spec: {
        user,
        resourceAttributes: {
          namespace,
          verb: rule?.verbs[0],
          group: rule?.apiGroups[0],
          resource: rule?.resources[0],
        },
      },
    });
    return (review as { status?: { allowed?: boolean } }).status?.allowed === true;
  });
  return user;
}

async function made(connection: ApiConnection, path: string, body: object): Promise<ApiObject> {
  const { status, body: answer } = await sendTo(connection, { method: 'POST', path, body });
  if (status !== 201) throw new Error(`${path}: ${status} ${answer.message}`);
  return answer;
}
