/**
 * The messages that the page sends and reads, with the fields that it uses. A test compares their names with
 * openapi.json. Replies have every field of a plain type; messages and `optional` fields may be missing.
 */

export type Attributes = Record<string, string | number | boolean | string[]>;

export interface Sequence {
  positions: string;
  num_frames: number;
  num_bodies: number;
  num_joints: number;
  layout: string;
  dimensions?: number;
  fps: number;
}

export interface Motion {
  positions: string;
  num_frames: number;
  num_bodies: number;
  num_joints: number;
  layout: string;
  frame_numbers: number[];
  fps: number;
}

export interface Limits {
  max_message_bytes: string;
  max_sequences: number;
  max_frames: number;
}

export interface GetInfoResponse {
  server_version: string;
  encoder: { name: string };
  limits: Limits;
  role: string;
  reads_videos: boolean;
}

export interface GalleryDescription {
  name: string;
  embedding_size: number;
  num_items: string;
  num_motions: string;
  generation: string;
}

export interface ListGalleriesResponse {
  galleries: GalleryDescription[];
}

export interface Filter {
  where: string[];
}

export interface MapItem {
  id: string;
  label: string;
  x: number;
  y: number;
  attributes?: Attributes;
}

export interface MapItemsResponse {
  items: MapItem[];
  projection: string;
  is_improving: boolean;
  num_items: string;
  num_mapped: string;
  attributes: string[];
  attributes_left_out: boolean;
}

export interface Warning {
  kind: string;
  text: string;
}

export interface Source {
  recording: string;
  start_s: number;
  end_s: number;
}

export interface Item {
  id: string;
  label: string;
  sequence?: Sequence;
  attributes?: Attributes;
  source?: Source;
  motion?: Motion;
  embedding?: Embedding;
}

export interface Embedding {
  values: string;
  size: number;
}

export interface GetResponse {
  items: Item[];
}

export interface Neighbour {
  id: string;
  label: string;
  similarity: number;
}

export interface Query {
  sequence?: Sequence;
  id?: string;
}

export interface SearchResponse {
  results: { neighbours: Neighbour[] }[];
  warnings: Warning[];
}

export interface Classification {
  label: string;
  unknown: boolean;
  scores: { label: string; score: number }[];
  neighbours: Neighbour[];
}

export interface ClassifyResponse {
  results: Classification[];
  warnings: Warning[];
}

export interface UpsertResponse {
  generation: string;
  warnings: Warning[];
}

export interface DeleteResponse {
  num_deleted: number;
}

export interface Recording {
  name: string;
  label: string;
  sequence: Sequence;
}

export interface ReadFileResponse {
  recordings: Recording[];
  num_left_out: number;
  remarks: string[];
}

export interface Shown {
  sequence?: Sequence;
  id?: string;
}

export interface JointDifference {
  name: string;
  joint: number;
  mean_cm: number;
  most_cm: number;
  cm: (number | string)[];
  mean_degrees?: number;
  most_degrees?: number;
}

export interface WorstMoment {
  step: number;
  motion_s: number;
  wanted_s: number;
  mean_cm: number;
  joint: string;
  joint_cm: number;
}

export interface CompareResponse {
  motion: Motion;
  wanted: Motion;
  motion_frames: number[];
  wanted_frames: number[];
  joints: JointDifference[];
  worst_moments: WorstMoment[];
  mean_cm: number;
  tempo: number;
}

export interface EmbedStreamResponse {
  end_s: number;
  problem: string;
  neighbours: Neighbour[];
  classification?: Classification;
  num_dropped: number;
  warnings: Warning[];
  num_repetitions?: number;
}
