/** What the pointer is at on the map: an item's motion, beside the pointer. */

import { type App, clipOf, NO_MOTION } from "./app";
import { element } from "./dom";
import type { MapPoint } from "./map";
import { Player, type Stage, stageBox } from "./player";

/** The motion of the item at the pointer. */
export class HoverCard {
  readonly element = element("div", { class: "hover", hidden: true, "aria-hidden": "true" });
  private readonly player = new Player();
  private readonly stage: Stage;
  private readonly box: HTMLElement;
  private readonly words = element("p", {});
  private id = "";

  constructor(private readonly app: App) {
    this.stage = this.player.addStage({ label: "" });
    this.box = stageBox(this.stage, "");
    this.element.append(this.box, this.words);
    this.player.playing = true;
  }

  async show(point: MapPoint | null, x: number, y: number): Promise<void> {
    this.element.hidden = point === null;
    if (!point) {
      this.id = "";
      return;
    }
    const map = this.element.parentElement as HTMLElement;
    const right = x > map.clientWidth - 200;
    const low = y > map.clientHeight - 230;
    this.element.style.transform = `translate(${x + (right ? -176 : 16)}px, ${y + (low ? -216 : 16)}px)`;
    if (point.id === this.id) return;
    this.id = point.id;
    this.stage.clip = undefined;
    this.words.replaceChildren(element("strong", {}, point.group || "no label"), point.id);
    this.player.ask();
    const item = await this.app.item(point.id).catch(() => null);
    if (this.id !== point.id || !item) return;
    const clip = clipOf(item);
    this.words.replaceChildren(element("strong", {}, item.label || "no label"), item.id, clip ? "" : NO_MOTION);
    this.box.hidden = !clip;
    this.stage.clip = clip ?? undefined;
    this.player.place = 0;
    this.player.ask();
  }
}
