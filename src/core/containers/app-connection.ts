/**
 * How the App of a release source stands to a repository and a tenant. `elsewhere`: its owner is not looked for where there are Apps; `no_app`: none is
 * declared; `not_allowed`: the operator did not give that owner to the tenant; `not_installed`: the source says that the App is not installed for the
 * repository; `suspended`: it is, and whoever installed it has halted it.
 */
export type AppConnection = 'connected' | 'elsewhere' | 'no_app' | 'not_allowed' | 'not_installed' | 'suspended';

/** What came of marking a release as the latest. `prerelease`: none of these may be; `no_release`: there is none of that tag any more. */
export type MarkOutcome = 'marked' | 'not_permitted' | 'prerelease' | 'no_release';
