import { apiConformance } from './api-conformance.ts';
import { type ApiConnection, sendTo, watchAt } from './api-under-test.ts';
import { FakeApi } from './fake-api.ts';

apiConformance('the fake', async () => {
  const api = new FakeApi();
  await api.start();
  const as = (user: string): ApiConnection => ({ url: api.url, headers: { authorization: `Bearer ${user}` } });
  return {
    namespace: 'conformance',
    send: (request) => sendTo(as('admin'), request),
    sendAs: (rules, request) => {
      api.addUser('somebody', rules);
      return sendTo(as('somebody'), request);
    },
    watch: (path, until) => watchAt(as('admin'), path, until),
    compact: async () => {
      api.store.compact();
      return true;
    },
    close: () => api.stop(),
  };
});
