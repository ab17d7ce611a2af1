/**
 * Draws a pose with three: bodies of rods and balls, on a round floor with a grid and their shadow.
 *
 * One renderer paints for all stages of the page, because browsers give a page few of them.
 */

import {
  CircleGeometry,
  Color,
  CylinderGeometry,
  DirectionalLight,
  HemisphereLight,
  InstancedMesh,
  KeepStencilOp,
  Matrix4,
  Mesh,
  MeshBasicMaterial,
  MeshLambertMaterial,
  NotEqualStencilFunc,
  PerspectiveCamera,
  Quaternion,
  ReplaceStencilOp,
  Scene,
  ShaderMaterial,
  SphereGeometry,
  Vector3,
  WebGLRenderer,
} from "three";
import type { Clip, Pose } from "./clip";
import { mix, theme } from "./colours";

/** From where all stages are seen: radians around the vertical, and above the floor. */
export interface View {
  yaw: number;
  pitch: number;
}

/** The colour of a joint of the first body; bones get that of their farther end. */
export type Tint = (joint: number) => string;

/** A pose, and the canvas of the page that shows it; the canvas has its size in pixels of the screen. */
export interface Job {
  canvas: HTMLCanvasElement;
  clip: Clip;
  pose: Pose;
  tint: Tint | undefined;
}

const MOST = 256; // bones or joints of all bodies of a pose
const ROW_PIXELS = 2400;
// How many times larger than needed the renderer's picture may be, before it shrinks.
const WASTE = 6;
const BONE_M = 0.028;
const HEAD_M = 0.1;
const UP = new Vector3(0, 1, 0);

interface Tile {
  x: number;
  y: number;
}

const FLOOR_VERTEX = `
varying vec2 place;
void main() {
  place = (modelMatrix * vec4(position, 1.0)).xz;
  gl_Position = projectionMatrix * viewMatrix * modelMatrix * vec4(position, 1.0);
}`;
const FLOOR_FRAGMENT = `
uniform vec3 floorColour; uniform vec3 lineColour; uniform vec2 centre; uniform float radius; uniform float spacing;
varying vec2 place;
void main() {
  vec2 at = place / spacing;
  vec2 wide = fwidth(at);
  vec2 near = abs(fract(at - 0.5) - 0.5) / wide;
  float line = 1.0 - min(min(near.x, near.y), 1.0);
  float away = length(place - centre) / radius;
  gl_FragColor = vec4(mix(floorColour, lineColour, line), 1.0 - smoothstep(0.82, 1.0, away));
}`;

export class Painter {
  private readonly canvas = new OffscreenCanvas(1, 1);
  private readonly renderer: WebGLRenderer;
  private readonly scene = new Scene();
  private readonly camera = new PerspectiveCamera();
  private readonly bones: InstancedMesh;
  private readonly balls: InstancedMesh;
  private readonly shadows: InstancedMesh;
  private readonly floor: Mesh<CircleGeometry, ShaderMaterial>;
  private readonly light = new DirectionalLight(0xffffff, 1.9);
  private width = 0;
  private height = 0;

  /** Raises `Error` where the browser has no WebGL. */
  constructor() {
    // Edges are smoothed where graphics have hardware; on a processor, that takes most of the time.
    const antialias = !drawsOnProcessor();
    this.renderer = new WebGLRenderer({ canvas: this.canvas, antialias, alpha: true, stencil: true });
    this.renderer.setPixelRatio(1);
    this.renderer.autoClear = false;
    // Until it has drawn once, it would clear with black.
    this.renderer.setClearColor(0x000000, 0);
    const rod = new CylinderGeometry(1, 1, 1, 10, 1, true);
    this.bones = new InstancedMesh(rod, new MeshLambertMaterial(), MOST);
    this.balls = new InstancedMesh(new SphereGeometry(1, 14, 10), new MeshLambertMaterial(), MOST);
    // The stencil lets each pixel of the floor be darkened once, also where the shadows of bones cross.
    const shadow = new MeshBasicMaterial({ color: 0x000000, transparent: true, depthWrite: false });
    Object.assign(shadow, {
      stencilWrite: true,
      stencilRef: 1,
      stencilFunc: NotEqualStencilFunc,
      stencilZPass: ReplaceStencilOp,
      stencilFail: KeepStencilOp,
    });
    this.shadows = new InstancedMesh(rod, shadow, MOST);
    const ground = new ShaderMaterial({
      vertexShader: FLOOR_VERTEX,
      fragmentShader: FLOOR_FRAGMENT,
      transparent: true,
      depthWrite: false,
      uniforms: {
        floorColour: { value: new Vector3() },
        lineColour: { value: new Vector3() },
        centre: { value: [0, 0] },
        radius: { value: 1 },
        spacing: { value: 0.5 },
      },
    });
    this.floor = new Mesh(new CircleGeometry(1, 72).rotateX(-Math.PI / 2), ground);
    this.floor.renderOrder = -2;
    this.shadows.renderOrder = -1;
    for (const mesh of [this.bones, this.balls, this.shadows]) mesh.frustumCulled = false;
    this.scene.add(this.floor, this.shadows, this.bones, this.balls, new HemisphereLight(0xffffff, 0x9aa0b0, 1.9));
    this.scene.add(this.light, this.light.target);
  }

  /**
   * Draw poses onto canvases of the page. All are drawn beside each other first and then copied: to wait for the
   * graphics once takes less time than to wait for each.
   */
  paint(jobs: Job[], view: View): void {
    const tiles = this.tiles(jobs);
    this.renderer.setScissorTest(true);
    jobs.forEach(({ canvas: { width, height }, clip, pose, tint }, place) => {
      const { x, y } = tiles[place] as Tile;
      this.place(clip, pose, tint);
      this.aim(clip, pose, view, width / height);
      // WebGL counts from below.
      this.renderer.setViewport(x, this.height - y - height, width, height);
      this.renderer.setScissor(x, this.height - y - height, width, height);
      this.renderer.clear();
      this.renderer.render(this.scene, this.camera);
    });
    // To take the picture once spares the browser to fetch it for each canvas.
    const picture = this.canvas.transferToImageBitmap();
    jobs.forEach(({ canvas }, place) => {
      const { x, y } = tiles[place] as Tile;
      const { width, height } = canvas;
      const context = canvas.getContext("2d");
      context?.clearRect(0, 0, width, height);
      context?.drawImage(picture, x, y, width, height, 0, 0, width, height);
    });
    picture.close();
  }

  /** Where each job is drawn: in rows. The renderer grows as they need. */
  private tiles(jobs: Job[]): Tile[] {
    const tiles: Tile[] = [];
    let [x, y, low, wide] = [0, 0, 0, 0];
    for (const { canvas } of jobs) {
      if (x && x + canvas.width > ROW_PIXELS) [x, y] = [0, low];
      tiles.push({ x, y });
      x += canvas.width;
      wide = Math.max(wide, x);
      low = Math.max(low, y + canvas.height);
    }
    const isWasteful = this.width * this.height > WASTE * wide * low;
    if (wide > this.width || low > this.height || isWasteful) {
      [this.width, this.height] = isWasteful ? [wide, low] : [Math.max(wide, this.width), Math.max(low, this.height)];
      this.renderer.setSize(this.width, this.height, false);
    }
    return tiles;
  }

  private aim(clip: Clip, pose: Pose, view: View, aspect: number): void {
    const far = 7 * Math.max(clip.height, clip.reach); // from the eye to the middle
    const wide = 1.15 * Math.max(clip.reach, 0.45 * clip.height);
    const half = (Math.cos(view.pitch) * clip.height) / 2;
    // In metres above and below the middle: half the person, and of the floor what the eye sees from above.
    const above = Math.max(half, Math.sin(view.pitch) * wide - half);
    const below = half + Math.max(Math.sin(view.pitch), 0) * wide;
    const seen = Math.max((above + below) / 0.86, (2 * clip.reach) / 0.94 / aspect);
    const radius = Math.min(wide, 0.47 * seen * aspect);
    const middle = new Vector3(pose.centre[0], clip.floor + clip.height / 2, pose.centre[1]);
    const towards = new Vector3(
      -Math.sin(view.yaw) * Math.cos(view.pitch),
      Math.sin(view.pitch),
      Math.cos(view.yaw) * Math.cos(view.pitch),
    );
    const { camera } = this;
    camera.up.copy(UP);
    camera.position.copy(middle).addScaledVector(towards, far);
    camera.lookAt(middle);
    camera.fov = (2 * Math.atan(seen / 2 / far) * 180) / Math.PI;
    camera.near = far / 10;
    camera.far = far * 3;
    // Of a whole as large as the picture, in its heights: the camera takes its aspect from here.
    camera.setViewOffset(aspect, 1, 0, -(above - below) / 2 / seen, aspect, 1);
    camera.updateProjectionMatrix();
    const side = new Vector3(0.6, 1.1, 0.4).applyQuaternion(camera.quaternion);
    this.light.position.copy(middle).addScaledVector(side, far);
    this.light.target.position.copy(middle);
    this.light.target.updateMatrixWorld();

    this.floor.position.set(pose.centre[0], clip.floor, pose.centre[1]);
    this.floor.scale.setScalar(radius);
    const colours = theme();
    const uniforms = this.floor.material.uniforms;
    setTo(uniforms.floorColour?.value, colours.floor);
    setTo(uniforms.lineColour?.value, colours.grid);
    if (uniforms.centre) uniforms.centre.value = pose.centre;
    if (uniforms.radius) uniforms.radius.value = radius;
    if (uniforms.spacing) uniforms.spacing.value = radius > 4 ? 2 : 0.5;
    (this.shadows.material as MeshBasicMaterial).opacity = colours.isDark ? 0.42 : 0.17;
  }

  private place(clip: Clip, pose: Pose, tint?: Tint): void {
    const { skeleton, joints } = clip;
    const colours = theme();
    let [rods, balls] = [0, 0];
    const flat = new Matrix4().makeScale(1, 0, 1).setPosition(0, clip.floor + 0.002, 0);
    const paint = new Color();
    const addBall = (at: Vector3, radius: number, colour: string) => {
      if (balls >= MOST) return;
      this.balls.setMatrixAt(balls, new Matrix4().makeScale(radius, radius, radius).setPosition(at));
      this.balls.setColorAt(balls, paint.set(colour));
      balls += 1;
    };
    for (let body = 0; body < clip.bodies; body++) {
      const pale = (colour: string) => (body ? mix(colour, colours.stage, 0.5) : colour);
      const sides: Record<string, string> = { L: pale(colours.left), R: pale(colours.right), T: pale(colours.trunk) };
      const points: (Vector3 | null)[] = [];
      for (let joint = 0; joint < joints; joint++) {
        const start = 3 * (body * joints + joint);
        const x = pose.places[start] as number;
        points.push(
          Number.isNaN(x) ? null : new Vector3(x, pose.places[start + 1] as number, pose.places[start + 2] as number),
        );
      }
      for (const [one, other] of skeleton.middles) {
        const [from, to] = [points[one], points[other]];
        points.push(from && to ? new Vector3().addVectors(from, to).multiplyScalar(0.5) : null);
      }
      const thick = BONE_M * Math.min(1, Math.max(clip.height / 1.6, 0.4));
      skeleton.bones.forEach(([joint, other], bone) => {
        const [from, to] = [points[joint], points[other]];
        if (!from || !to || rods >= MOST) return;
        const along = new Vector3().subVectors(to, from);
        const length = along.length();
        if (length < 1e-4) return;
        const turn = new Quaternion().setFromUnitVectors(UP, along.divideScalar(length));
        const middle = new Vector3().addVectors(from, to).multiplyScalar(0.5);
        const rod = new Matrix4().compose(middle, turn, new Vector3(thick, length, thick));
        const colour = tint && !body ? tint(joint) : (sides[skeleton.sides[bone] ?? "T"] as string);
        this.bones.setMatrixAt(rods, rod);
        this.bones.setColorAt(rods, paint.set(colour));
        this.shadows.setMatrixAt(rods, new Matrix4().multiplyMatrices(flat, rod));
        rods += 1;
        addBall(from, thick, colour);
        addBall(to, thick, tint && !body ? tint(other) : colour);
      });
      const head = points[skeleton.head];
      if (head) addBall(head, HEAD_M * (thick / BONE_M), tint && !body ? tint(skeleton.head) : (sides.T as string));
      if (!skeleton.bones.length) for (const point of points) if (point) addBall(point, thick, sides.T as string);
    }
    this.bones.count = this.shadows.count = rods;
    this.balls.count = balls;
    for (const mesh of [this.bones, this.balls, this.shadows]) {
      mesh.instanceMatrix.needsUpdate = true;
      if (mesh.instanceColor) mesh.instanceColor.needsUpdate = true;
    }
  }
}

/** Whether the browser has no graphics hardware to draw with. Raises `Error` where it has no WebGL. */
function drawsOnProcessor(): boolean {
  const context = new OffscreenCanvas(1, 1).getContext("webgl2");
  if (!context) throw new Error("This browser has no WebGL.");
  const names = context.getExtension("WEBGL_debug_renderer_info");
  const name = names ? String(context.getParameter(names.UNMASKED_RENDERER_WEBGL)) : "";
  context.getExtension("WEBGL_lose_context")?.loseContext();
  return /swiftshader|llvmpipe|software/i.test(name);
}

function setTo(vector: Vector3, colour: string): void {
  // The floor's shader writes to the screen itself, so its colours stay as they are in the style sheet.
  const whole = Number.parseInt(colour.slice(1), 16);
  vector.set((whole >> 16) / 255, ((whole >> 8) & 255) / 255, (whole & 255) / 255);
}
