/** A backup or a restore cannot be done. `message` is one sentence that says why and what to do; it holds no secret. */
export class BackupRefusal extends Error {
  override readonly name = 'BackupRefusal';
}
