import { sampleCampaigns } from './samples.ts';

sampleCampaigns('sqlite');
