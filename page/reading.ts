/** Files that the reader drops or chooses: the server reads them, and gives back the recordings in them. */

import type { App } from "./app";
import { toBase64 } from "./base64";
import { button, element, isAbort, notice, on, says } from "./dom";
import type { ReadFileResponse, Recording } from "./messages";
import { call } from "./server";

type Take = (file: File, recordings: Recording[], remarks: string[]) => void;

export class Reading {
  readonly element = element("div", { class: "reading", "aria-live": "polite" });
  private asking = new AbortController();

  constructor(
    private readonly app: App,
    private readonly take: Take,
  ) {}

  /** A button that lets the reader choose a file. */
  chooser(text: string, className = ""): HTMLElement {
    const input = element("input", { type: "file", hidden: true });
    on(input, {
      change: () => {
        const file = input.files?.[0];
        input.value = "";
        if (file) this.read(file);
      },
    });
    const made = button(text, () => input.click(), className);
    return element("span", { class: "chooser" }, made, input);
  }

  /** Stop reading, and take back what was said. Gives a signal that is aborted when this is called again. */
  clear(): AbortSignal {
    this.asking.abort();
    this.asking = new AbortController();
    this.element.replaceChildren();
    return this.asking.signal;
  }

  /** Say what is wrong, with what the server remarked about it. */
  fail(error: unknown, remarks: string[] = []): void {
    if (isAbort(error)) return;
    this.element.replaceChildren(
      notice("error", says(error)),
      ...remarks.map((text) => notice("note", text)),
      this.chooser("Choose another file"),
    );
  }

  /** Read a file and hand over what is in it. */
  async read(file: File): Promise<void> {
    const signal = this.clear();
    const most = Number(this.app.info?.limits.max_message_bytes ?? 0);
    const isVideo = file.type.startsWith("video/");
    this.element.replaceChildren(
      element(
        "div",
        { class: "card busy" },
        element("p", {}, isVideo ? `Finding the person in ${file.name} …` : `Reading ${file.name} …`),
        element("progress", {}),
      ),
    );
    try {
      // As base64, four letters stand for three bytes.
      if (most && file.size * 1.34 > most) {
        throw new Error(
          `${file.name} has ${megabytes(file.size)} MB, and this server takes ${megabytes(most / 1.34)} MB here. Use a part of it, ` +
            `start gfp-serve with a larger --max-message-bytes, or add the file with gfp add.`,
        );
      }
      const content = toBase64(new Uint8Array(await file.arrayBuffer()));
      const request = { content, name: file.name };
      const reply = await call<ReadFileResponse>("ViewService/ReadFile", request, signal);
      const { recordings, num_left_out: numLeftOut } = reply;
      const remarks = [...reply.remarks];
      if (!recordings.length) {
        const none = numLeftOut
          ? `No recording of ${file.name} fits into a message: ${numLeftOut} left out.`
          : `There is no recording in ${file.name} that can be used.`;
        this.fail(new Error(none), remarks);
        return;
      }
      if (numLeftOut)
        remarks.push(
          `${numLeftOut} more ${numLeftOut === 1 ? "recording" : "recordings"} of this file did not fit into a message.`,
        );
      this.element.replaceChildren();
      this.take(file, recordings, remarks);
    } catch (error) {
      this.fail(error);
    }
  }
}

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);
