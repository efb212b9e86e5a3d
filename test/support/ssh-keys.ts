/** Public keys of nobody: their private halves were thrown away. */

/** A usual key. */
export const ED25519_KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJo0KU0EqODZPQSQUiRf1ne+ZHV2hoQemrTE5WNigEnf ann@laptop';

/** Its fingerprint, as `ssh-keygen -l` shows it. */
export const ED25519_FINGERPRINT = 'SHA256:ZYJbngnJA3aReHg5kyINlP/2OJhGDSbBf52ThfaAP7o';

/** On the curve P-256. */
export const ECDSA_KEY = [
  'ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBA2v6bfRejN+4cSdsZwcdoewIxnG8eXjmfp9p9',
  'qfFelpcv+f76ThKqG/k+IjEQ0u9UyNvv7w8LpeaORwHnYoSW8=',
].join('');

/** On the curve P-521. */
export const ECDSA_521_KEY = [
  'ecdsa-sha2-nistp521 AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBAEYUZT0mCYTXx850yhU5EI6RCrRBPzkyQ7+Tq',
  'keBuD+IlSPz3lH2KHo2Y4si//psTfbiWK8Qgec3lOk/WGmaV4bwwD2bRI/UWFn1lFgAJHm6KGN3L2QRqyJSGvO5we574NKRETs/U6aMFwZRJ6z',
  'AbiGRb4jQCAqgp2vSIozx/506sgVSQ==',
].join('');

/** Of 2,048 bits. */
export const RSA_KEY = [
  'ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC11Q7OjMUustovb3HzYVLyMAchgfRiLDQmxqtwtZ4p4lLOOgeHygGVjTBQUmlAhhCJJ+HraQ',
  'bZYef52tgK6KTZXyhZ2FHAZRfwIKKeg9Ruz+aVHENqjECaJzWC4veNXdI15oR6lg2Fg8kYfyknL68RYS/Ws7TFyWZNEqn+4M6lqM/CUuxiUiGU',
  'M/OZVS46iDoSMnEo9VpI4Mfu5OStdN9jVIxXm6CLni4KOYdf2hUzssMiRDNXuzvjYPP3mYW8T0SVoNvkTJfkTBn7mRTcPt9ADrVEOSAM3Uw4fI',
  'hEVZXcBy2PajO1d0oZO77ABwVpOZ8ayqTJf20C49wMmZVc8Iqt',
].join('');

/** Of 1,024 bits: too few. */
export const SHORT_RSA_KEY = [
  'ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDWDmRORpg0/gc21vdxcjp3MUbCKEfxOPT+IPxWV1bKBCrIv3BNwyB9LpRu7xiMrzI//Iyofr',
  'uBO8iTvwVEYTLQOsBhu6CPfR+07esHTMHE/Wmt65fUTJrrPOpZN+wXS9wvEYaOqImEwu17VldM0aIJ8Z1edBD2XV6IGod0/R6OLQ==',
].join('');

/** Of a type that nobody takes any more. */
export const DSA_KEY = [
  'ssh-dss AAAAB3NzaC1kc3MAAACBANWwgLt6dLW5HCJoXAuFFDat4ZZOufEtXvaMZD/PV3V227hLozKN9o2eRFAAb/eYUftkrBKku1QZ3LXtik',
  'nA0gXWX8Q+dEjVfS9C5qMTtIWSn1/giAiNGnZftCsRpMhkQR9t7GfMvZZDVNfR/fvyzWp1ARGN+si30w2Sy9lZSulJAAAAFQDTVa4+p/WxAHw5',
  'z22bZRh4in8TaQAAAIEAoJ0rirLrJsXu3mW1wKykqmOY8j+p51NOoDG7DT/aM+5YxIJv879mxfwXah5lWvb/SUKRsEScklzlkJ0BaA3AEl0ITP',
  'FERJ8u2rFFFlYssXr3f38Fw9LDQB2xup68SISWGTa7KInvlGWTIrjYuFu/yh/IvjG3Lf1kIyEOLu6fHEkAAACACJzCIPz+qhX8/aHw2dKjJAQo',
  'dEE4qtaXaaeos7WurSrTdbqS2TRBr0tScjYCcXMgOxhlGXiLnlE9Sorz/8sJZvQ10NKiZNPFul1A4n2bu2F+lnD4EbGu37v5QuIqDgcYn95Bw7',
  'mE29jFV8L3m3SEORzJeV6BUDxqoaVWJkH0Hs8=',
].join('');

/** A certificate. */
export const CERTIFICATE = [
  'ecdsa-sha2-nistp256-cert-v01@openssh.com AAAAKGVjZHNhLXNoYTItbmlzdHAyNTYtY2VydC12MDFAb3BlbnNzaC5jb20AAAAgrEszs',
  'mzoqaK8B7YXH9Q3c5bCfniURLVPCHgwilk726YAAAAIbmlzdHAyNTYAAABBBA2v6bfRejN+4cSdsZwcdoewIxnG8eXjmfp9p9qfFelpcv+f76T',
  'hKqG/k+IjEQ0u9UyNvv7w8LpeaORwHnYoSW8AAAAAAAAAAAAAAAEAAAACaWQAAAAFAAAAAXUAAAAAAAAAAP//////////AAAAAAAAAIIAAAAVc',
  'GVybWl0LVgxMS1mb3J3YXJkaW5nAAAAAAAAABdwZXJtaXQtYWdlbnQtZm9yd2FyZGluZwAAAAAAAAAWcGVybWl0LXBvcnQtZm9yd2FyZGluZwA',
  'AAAAAAAAKcGVybWl0LXB0eQAAAAAAAAAOcGVybWl0LXVzZXItcmMAAAAAAAAAAAAAADMAAAALc3NoLWVkMjU1MTkAAAAgmjQpTQSo4Nk9BJBSJ',
  'F/Wd75kdXaGhB6atMTlY2KASd8AAABTAAAAC3NzaC1lZDI1NTE5AAAAQC2qI+is87bUR2z4Y78mguDuAXhPsSZbF0yiSaFaplEvUD1wV4qB4iZ',
  '5I7DYAlrGZ9vFyuyshiIlGwqE9C19hA0=',
].join('');
