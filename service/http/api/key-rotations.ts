import { sendJson } from '../operation.ts';
import { operation } from './context.ts';
import { keyRotation, lastKeyRotation } from './schemas/governance.ts';

/** New keys for the content of conversations. */

const ROTATION = '/api/governance/key-rotation';

const show = operation({
  ...{ method: 'get', path: ROTATION, id: 'showKeyRotation', tag: 'Governance' },
  access: 'factory.governance.read',
  summary: 'Show the last rotation of the keys of conversations, and how far it is',
  responses: { 200: { description: 'The rotation.', schema: lastKeyRotation } },
  handle({ res }, { chat }) {
    sendJson(res, 200, { rotation: chat.governance.rotations.show() });
  },
});

const begin = operation({
  ...{ method: 'post', path: ROTATION, id: 'rotateKeys', tag: 'Governance' },
  access: 'factory.governance.manage',
  summary: 'Seal the content of conversations with new keys',
  description:
    'What comes is sealed with new keys at once; what is there is sealed anew in the background. Older keys stay for the backups that were sealed with them. While one runs, the answer is that one.',
  responses: { 202: { description: 'It was begun, or runs already.', schema: keyRotation } },
  async handle({ res, principal }, { chat }) {
    sendJson(res, 202, await chat.governance.rotations.begin(principal));
  },
});

export const keyRotationOperations = [show, begin];
