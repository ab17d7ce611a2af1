/** A curve over time, drawn by uPlot in the colours of the theme. */

import uPlot from "uplot";
import { onThemeChange, theme } from "./colours";
import { element } from "./dom";

export class Curve {
  readonly element = element("div", { class: "curve" });
  private plot: uPlot | null = null;
  private data: [number[], number[]] = [[], []];
  private marks: number[] = [];
  private now = 0;

  constructor(
    private readonly time: string,
    private readonly axis: string,
    private readonly jump: (x: number) => void,
  ) {
    new ResizeObserver(() => this.fit()).observe(this.element);
    onThemeChange(() => this.draw());
  }

  /** Show y over x (both ascending in time), with marks at some x. */
  show(x: number[], y: number[], marks: number[] = []): void {
    this.data = [x, y];
    this.marks = marks;
    this.draw();
  }

  at(x: number): void {
    this.now = x;
    this.plot?.redraw(false, false);
  }

  private fit(): void {
    const width = this.element.clientWidth;
    if (this.plot && width) this.plot.setSize({ width, height: 170 });
  }

  private draw(): void {
    this.plot?.destroy();
    this.plot = null;
    if (!this.data[0].length) return;
    const colours = theme();
    const axis = (label: string): uPlot.Axis => ({
      label,
      stroke: colours.faint,
      font: "12px system-ui, sans-serif",
      labelFont: "12px system-ui, sans-serif",
      labelSize: 18,
      size: 38,
      grid: { stroke: colours.line, width: 1 },
      ticks: { stroke: colours.line, width: 1 },
    });
    const accent = getComputedStyle(document.documentElement).getPropertyValue("--accent").trim();
    this.plot = new uPlot(
      {
        width: this.element.clientWidth || 600,
        height: 170,
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
        scales: { x: { time: false }, y: { range: (_plot, _least, most) => [0, most * 1.08 || 1] } },
        axes: [axis(this.time), axis(this.axis)],
        series: [{}, { stroke: accent, width: 2, fill: `${accent}22`, points: { show: false } }],
        hooks: { draw: [(plot) => this.lines(plot)] },
      },
      this.data,
      this.element,
    );
    this.plot.over.addEventListener("click", (event) => {
      if (this.plot) this.jump(this.plot.posToVal(event.offsetX, "x"));
    });
  }

  private lines(plot: uPlot): void {
    const { ctx, bbox } = plot;
    const line = (x: number, colour: string, width: number, dash: number[]) => {
      const at = plot.valToPos(x, "x", true);
      ctx.save();
      ctx.strokeStyle = colour;
      ctx.lineWidth = width * devicePixelRatio;
      ctx.setLineDash(dash.map((part) => part * devicePixelRatio));
      ctx.beginPath();
      ctx.moveTo(at, bbox.top);
      ctx.lineTo(at, bbox.top + bbox.height);
      ctx.stroke();
      ctx.restore();
    };
    for (const mark of this.marks) line(mark, theme().right, 1.5, [4, 3]);
    line(this.now, theme().text, 2, []);
  }
}
