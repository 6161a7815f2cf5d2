import type { Destination } from '../config.ts';

/** Where the store speaks S3; Amazon's is known to every client. */
export function s3Endpoint({ provider, region }: Destination): string {
  if (provider === 'spaces') return `https://${region}.digitaloceanspaces.com`;
  return provider === 'b2' ? `https://s3.${region}.backblazeb2.com` : `https://s3.${region}.amazonaws.com`;
}

/** An entry of FACTORY_BACKUP_DESTINATIONS. */
export const destinationUrl = (destination: Destination): string =>
  `s3://${destination.bucket}?endpoint=${s3Endpoint(destination)}&region=${destination.region}`;

/** The file that FACTORY_BACKUP_CREDENTIALS_<n>_FILE names. */
export const credentialsFile = (id: string, secret: string): string =>
  `[default]\naws_access_key_id = ${id}\naws_secret_access_key = ${secret}\n`;
