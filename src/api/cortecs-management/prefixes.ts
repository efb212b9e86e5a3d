/** Where the surface is mounted: as the published document writes its paths, and below the base of its server. */
export const MANAGEMENT_PREFIXES = ['/manage', '/v1/manage'] as const;
