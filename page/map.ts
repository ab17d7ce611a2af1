/** The map of a gallery: a point for each item, drawn with three; it is moved, zoomed and pointed at. */

import {
  BufferAttribute,
  BufferGeometry,
  Color,
  OrthographicCamera,
  Points,
  Scene,
  ShaderMaterial,
  WebGLRenderer,
} from "three";
import { onThemeChange, theme } from "./colours";
import { element, on } from "./dom";
import { type Group, middles, placedNames } from "./map_names";

export interface MapPoint {
  id: string;
  x: number;
  y: number;
  /** What it stands for in the legend, and its colour. */
  group: string;
  colour: string;
}

interface Handlers {
  /** The pointer is at an item, with its place in the map's element; or at none. */
  hover: (point: MapPoint | null, x: number, y: number) => void;
  pick: (point: MapPoint) => void;
}

const NEAR_PX = 14;

const VERTEX = `
attribute vec3 colour; attribute float weight; uniform float size; uniform float zoomed; varying vec3 shown; varying float seen;
void main() {
  shown = colour; seen = weight;
  gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.0);
  gl_PointSize = size * (weight > 1.5 ? 1.9 : weight > 0.5 ? 1.0 : 0.7) * zoomed;
}`;
const FRAGMENT = `
uniform vec3 ground; uniform vec3 ring; varying vec3 shown; varying float seen;
void main() {
  float away = length(gl_PointCoord - 0.5) * 2.0;
  float wide = fwidth(away);
  float inside = 1.0 - smoothstep(1.0 - wide, 1.0, away);
  if (inside <= 0.0) discard;
  float rim = smoothstep(0.66 - wide, 0.66, away);
  vec3 edge = seen > 1.5 ? ring : mix(shown, ground, 0.55);
  float strength = seen < 0.5 ? 0.16 : 0.92;
  gl_FragColor = vec4(mix(shown, edge, rim), inside * strength);
}`;

export class ItemMap {
  readonly element: HTMLElement;
  private readonly canvas = element("canvas", { "aria-hidden": "true" });
  private readonly names = element("div", { class: "names", "aria-hidden": "true" });
  private renderer: WebGLRenderer | null = null;
  private readonly scene = new Scene();
  private readonly camera = new OrthographicCamera();
  private readonly material: ShaderMaterial;
  private cloud: Points<BufferGeometry, ShaderMaterial> | null = null;
  private points: MapPoint[] = [];
  private weights = new Float32Array();
  private groups: Group[] = []; // the largest first
  private selected = "";
  private only = new Set<string>();
  private middle: [number, number] = [0, 0];
  private span = 1; // half of what is seen of the shorter side, in the map's units
  private whole: [number, number, number] = [0, 0, 1];
  private isAsked = false;

  constructor(private readonly handlers: Handlers) {
    this.element = element("div", { class: "map" }, this.canvas, this.names);
    this.material = new ShaderMaterial({
      vertexShader: VERTEX,
      fragmentShader: FRAGMENT,
      transparent: true,
      depthTest: false,
      uniforms: {
        size: { value: 9 },
        zoomed: { value: 1 },
        ground: { value: new Color() },
        ring: { value: new Color() },
      },
    });
    try {
      this.renderer = new WebGLRenderer({ canvas: this.canvas, antialias: false, alpha: true });
    } catch {
      this.element.append(
        element(
          "p",
          { class: "missing" },
          "This browser has no WebGL, which the map needs. The list has the same items.",
        ),
      );
    }
    new ResizeObserver(() => this.ask()).observe(this.element);
    onThemeChange(() => this.ask());
    this.listen();
  }

  /** Show these points. The view stays, unless `fit`. */
  show(points: MapPoint[], fit: boolean): void {
    this.points = points;
    const places = new Float32Array(points.length * 3);
    const colours = new Float32Array(points.length * 3);
    const paint = new Color();
    points.forEach((point, i) => {
      places.set([point.x, point.y, 0], 3 * i);
      // The shader writes to the screen itself, so the colours stay as they are.
      paint.setStyle(point.colour, "srgb-linear").toArray(colours, 3 * i);
    });
    this.weights = new Float32Array(points.length);
    const geometry = new BufferGeometry();
    geometry.setAttribute("position", new BufferAttribute(places, 3));
    geometry.setAttribute("colour", new BufferAttribute(colours, 3));
    geometry.setAttribute("weight", new BufferAttribute(this.weights, 1));
    if (this.cloud) {
      this.scene.remove(this.cloud);
      this.cloud.geometry.dispose();
    }
    this.cloud = new Points(geometry, this.material);
    this.cloud.frustumCulled = false;
    this.scene.add(this.cloud);
    this.groups = middles(points);
    if (fit && points.length) this.fit();
    this.weigh();
  }

  /** Mark an item; with an empty id, none. */
  select(id: string): void {
    this.selected = id;
    this.weigh();
  }

  /** Let only these groups stand out; an empty set is all. */
  highlight(groups: Set<string>): void {
    this.only = groups;
    this.weigh();
  }

  fit(): void {
    const xs = this.points.map((point) => point.x).sort((one, other) => one - other);
    const ys = this.points.map((point) => point.y).sort((one, other) => one - other);
    if (!xs.length) return;
    const of = (values: number[]): [number, number] => [values[0] as number, values.at(-1) as number];
    const [[left, right], [low, high]] = [of(xs), of(ys)];
    this.middle = [(left + right) / 2, (low + high) / 2];
    const { clientWidth: width, clientHeight: height } = this.element;
    const shorter = Math.min(width, height) || 1;
    const need = Math.max(((right - left) / (width || 1)) * shorter, ((high - low) / (height || 1)) * shorter, 1e-6);
    this.span = 0.56 * need;
    this.whole = [...this.middle, this.span];
    this.ask();
  }

  zoom(factor: number, x = this.element.clientWidth / 2, y = this.element.clientHeight / 2): void {
    const before = this.at(x, y);
    this.span = Math.min(Math.max(this.span / factor, this.whole[2] / 200), this.whole[2] * 1.5);
    const after = this.at(x, y);
    this.middle = [this.middle[0] + before[0] - after[0], this.middle[1] + before[1] - after[1]];
    this.ask();
  }

  /** Where an item is in the map's element; null if it is not on the map. */
  placeOf(id: string): [number, number] | null {
    const point = this.points.find((each) => each.id === id);
    return point ? this.pixel(point.x, point.y) : null;
  }

  private weigh(): void {
    this.points.forEach((point, i) => {
      const stands = !this.only.size || this.only.has(point.group);
      this.weights[i] = point.id === this.selected ? 2 : stands ? 1 : 0;
    });
    const attribute = this.cloud?.geometry.getAttribute("weight");
    if (attribute) attribute.needsUpdate = true;
    this.ask();
  }

  private get perPixel(): number {
    return (2 * this.span) / (Math.min(this.element.clientWidth, this.element.clientHeight) || 1);
  }

  private at(x: number, y: number): [number, number] {
    const { clientWidth: width, clientHeight: height } = this.element;
    return [this.middle[0] + (x - width / 2) * this.perPixel, this.middle[1] - (y - height / 2) * this.perPixel];
  }

  private pixel(x: number, y: number): [number, number] {
    const { clientWidth: width, clientHeight: height } = this.element;
    return [width / 2 + (x - this.middle[0]) / this.perPixel, height / 2 - (y - this.middle[1]) / this.perPixel];
  }

  private nearest(x: number, y: number): MapPoint | null {
    const [mapX, mapY] = this.at(x, y);
    let [found, best]: [MapPoint | null, number] = [null, (NEAR_PX * this.perPixel) ** 2];
    this.points.forEach((point, i) => {
      const away = (point.x - mapX) ** 2 + (point.y - mapY) ** 2;
      if (away < best && this.weights[i]) [found, best] = [point, away];
    });
    return found;
  }

  private listen(): void {
    const held = new Map<number, [number, number]>();
    let moved = 0;
    const place = (event: MouseEvent): [number, number] => {
      const box = this.element.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    on(this.element, {
      pointerdown: (event) => {
        this.element.setPointerCapture(event.pointerId);
        held.set(event.pointerId, place(event));
        moved = 0;
      },
      pointermove: (event) => {
        const here = place(event);
        const before = held.get(event.pointerId);
        if (!before) {
          if (event.pointerType !== "touch") this.handlers.hover(this.nearest(...here), ...here);
          return;
        }
        const others = [...held].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
        const other = others[0];
        if (other) {
          const grown = Math.hypot(here[0] - other[0], here[1] - other[1]);
          const was = Math.hypot(before[0] - other[0], before[1] - other[1]);
          this.zoom(grown / Math.max(was, 1), (here[0] + other[0]) / 2, (here[1] + other[1]) / 2);
        }
        this.middle[0] -= (here[0] - before[0]) * this.perPixel;
        this.middle[1] += (here[1] - before[1]) * this.perPixel;
        moved += Math.hypot(here[0] - before[0], here[1] - before[1]);
        held.set(event.pointerId, here);
        if (moved > 4) this.handlers.hover(null, 0, 0);
        this.ask();
      },
      pointerup: (event) => {
        held.delete(event.pointerId);
        const found = moved > 4 ? null : this.nearest(...place(event));
        if (found) this.handlers.pick(found);
      },
      pointercancel: (event) => held.delete(event.pointerId),
      pointerleave: () => this.handlers.hover(null, 0, 0),
    });
    this.element.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        this.handlers.hover(null, 0, 0);
        this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), ...place(event));
      },
      { passive: false },
    );
  }

  private ask(): void {
    if (this.isAsked) return;
    this.isAsked = true;
    requestAnimationFrame(() => {
      this.isAsked = false;
      this.draw();
    });
  }

  private draw(): void {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (!this.renderer || !width || !height) return;
    const ratio = Math.min(devicePixelRatio || 1, 2);
    this.renderer.setPixelRatio(ratio);
    this.renderer.setSize(width, height, false);
    const [halfX, halfY] = [(width / 2) * this.perPixel, (height / 2) * this.perPixel];
    const { camera, material } = this;
    Object.assign(camera, { left: -halfX, right: halfX, top: halfY, bottom: -halfY, near: -1, far: 1 });
    camera.position.set(this.middle[0], this.middle[1], 0);
    camera.updateProjectionMatrix();
    const colours = theme();
    material.uniforms.ground?.value.setStyle(colours.stage, "srgb-linear");
    material.uniforms.ring?.value.setStyle(colours.text, "srgb-linear");
    const crowd = Math.min(Math.max(Math.sqrt(1500 / Math.max(this.points.length, 1)), 0.55), 1.25);
    const nearer = Math.min(Math.sqrt(this.whole[2] / this.span), 2.2);
    if (material.uniforms.zoomed) material.uniforms.zoomed.value = ratio * crowd * Math.max(nearer, 0.8);
    this.renderer.render(this.scene, camera);
    const shown = this.groups.filter(({ name }) => !this.only.size || this.only.has(name));
    this.names.replaceChildren(...placedNames(shown, (x, y) => this.pixel(x, y), width, height));
  }
}
