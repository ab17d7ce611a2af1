/** What all views share: the server, the gallery that was chosen, and ways from one view to another. */

import { Clip } from "./clip";
import type {
  GalleryDescription,
  GetInfoResponse,
  GetResponse,
  Item,
  ListGalleriesResponse,
  MapItemsResponse,
  Sequence,
} from "./messages";
import { call } from "./server";

export type ViewName = "gallery" | "query" | "compare" | "live";

/** A view of the page. `open` gets what the address says after its name. */
export interface View {
  readonly element: HTMLElement;
  open(asked: URLSearchParams): void;
  close(): void;
  /** A file was dropped, or chosen. `at` is what it was dropped on. */
  take?(file: File, at?: EventTarget | null): void;
  key?(event: KeyboardEvent): boolean;
}

export class App {
  info: GetInfoResponse | null = null;
  galleries: GalleryDescription[] = [];
  gallery = "default";
  /** A file that the next view takes. */
  file: File | null = null;
  /** A part of a recording that the next view compares. */
  handed: { name: string; sequence: Sequence } | null = null;
  /** How often items were changed here. What was shown before the last change is old. */
  numChanges = 0;
  /** The galleries were read again. */
  onGalleries: () => void = () => {};
  private readonly maps = new Map<string, Promise<MapItemsResponse>>();
  private readonly kept = new Map<string, Promise<Item>>();

  get mayWrite(): boolean {
    return this.info?.role === "write" || this.info?.role === "admin";
  }

  get numItems(): number {
    return Number(this.galleries.find((each) => each.name === this.gallery)?.num_items ?? 0);
  }

  /** The address of a view. Values that are empty are left out. */
  address(view: ViewName, asked: Record<string, string> = {}): string {
    const said = new URLSearchParams();
    if (this.gallery !== "default") said.set("in", this.gallery);
    for (const [name, value] of Object.entries(asked)) if (value) said.set(name, value);
    const text = said.toString();
    return `#${view}${text ? `?${text}` : ""}`;
  }

  go(view: ViewName, asked: Record<string, string> = {}): void {
    location.hash = this.address(view, asked);
  }

  /** An item of the gallery with its motion, if it is kept. Raises `CallError`. */
  item(id: string): Promise<Item> {
    const key = `${this.gallery}\n${id}`;
    let found = this.kept.get(key);
    if (!found) {
      if (this.kept.size > 500) this.kept.clear();
      found = call<GetResponse>("GalleryService/Get", { ids: [id], with_motions: true, gallery: this.gallery }).then(
        (reply) => reply.items[0] as Item,
      );
      found.catch(() => this.kept.delete(key));
      this.kept.set(key, found);
    }
    return found;
  }

  /** Several items of a gallery at once, in this order. Raises `CallError`. */
  async items(ids: string[], gallery = this.gallery): Promise<Item[]> {
    if (!ids.length) return [];
    const { numChanges } = this;
    const { items } = await call<GetResponse>("GalleryService/Get", { ids, with_motions: true, gallery });
    if (this.numChanges === numChanges) {
      for (const item of items) this.kept.set(`${gallery}\n${item.id}`, Promise.resolve(item));
    }
    return items;
  }

  /** Items of a gallery, as they are on its map. Raises `CallError`. */
  async mapItems(gallery = this.gallery): Promise<MapItemsResponse> {
    await this.readGalleries(); // others may have changed or removed it
    const key = `${gallery}\n${this.galleries.find(({ name }) => name === gallery)?.generation}`;
    let found = this.maps.get(key);
    if (!found) {
      this.maps.clear();
      found = call<MapItemsResponse>("ViewService/MapItems", { gallery });
      found.then(
        (reply) => reply.is_improving && this.maps.delete(key), // the next one may have more
        () => this.maps.delete(key),
      );
      this.maps.set(key, found);
    }
    return found;
  }

  /** Read which galleries there are and how many items they have. Raises `CallError`. */
  async readGalleries(): Promise<void> {
    const { galleries } = await call<ListGalleriesResponse>("GalleryService/ListGalleries", {});
    this.galleries = galleries.filter((gallery) => gallery.embedding_size > 0); // those of other encoders cannot be used
    this.onGalleries();
  }

  /** Forget what was read of items, because they were changed. */
  forget(): void {
    this.numChanges += 1;
    this.kept.clear();
    this.maps.clear();
    this.readGalleries().catch(() => {}); // the counts stay old until the next change
  }
}

export const NO_MOTION =
  "The gallery keeps no motion of this item. It keeps those that are added while gfp-serve runs with --keep-motion.";

export function clipOf(item: Item): Clip | null {
  if (!item.motion?.num_frames) return null;
  const clip = Clip.ofMotion(item.motion);
  return clip.isSeen ? clip : null;
}
