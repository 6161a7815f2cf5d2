import { sampleCampaigns } from './samples.ts';

sampleCampaigns('postgres');
