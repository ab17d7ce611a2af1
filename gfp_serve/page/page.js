function Lh(i){let e=[];for(let t=0;t<i.length;t+=32768)e.push(String.fromCharCode(...i.subarray(t,t+32768)));return btoa(e.join(""))}function Bo(i){return Lh(new Uint8Array(i.buffer,i.byteOffset,i.byteLength))}function ko(i){let e=atob(i),t=new Uint8Array(e.length);for(let n=0;n<e.length;n++)t[n]=e.charCodeAt(n);return new Float32Array(t.buffer)}var df=new Map;function ff(i){for(let[e,t]of Object.entries(i))df.set(e,E0(t))}function E0(i){let{names:e}=i,t=f=>e.indexOf(f),n=f=>t(`${f}Left`)>=0&&t(`${f}Right`)>=0?[t(`${f}Left`),t(`${f}Right`)]:null,s=["Hip","Shoulder"].map(n).filter(f=>f!==null),[r,a,o]=[n("Ear"),n("Shoulder"),n("Hip")];if(i.head>=0||!r||!a||!o)return{...i,middles:[],across:s};let l=f=>/^(Nose|Eye|Ear|Mouth)/.test(e[f]??""),c=i.bones.map((f,g)=>g).filter(f=>!i.bones[f]?.some(l)),[u,d,h]=[i.joints,i.joints+1,i.joints+2];return{bones:[...c.map(f=>i.bones[f]),[d,u],[h,d]],sides:`${c.map(f=>i.sides[f]).join("")}TT`,joints:i.joints,head:u,middles:[r,a,o],across:s}}var Yn=class i{constructor(e,t,n,s,r,a,o,l,c=Array.from({length:n},(u,d)=>d)){this.layout=e;this.frames=n;this.bodies=s;this.joints=r;this.seconds=a;this.knowsTime=o;let[u,d]=[c[0]??0,c.at(-1)??0];this.at=c.map(x=>(x-u)/Math.max(d-u,1));let h=df.get(e);this.skeleton=h??{bones:[],sides:"",joints:r,head:-1,middles:[],across:[]},this.xyz=l?R0(t,r,this.skeleton.across):t;let f=s*r*3,g=Array.from({length:n},(x,A)=>P0(this.xyz.subarray(A*f,(A+1)*f)));this.path=I0(g,Math.round(n/Math.max(a,.1)*.6));let b=[],m=[],p=3*Math.max(1,Math.floor(this.xyz.length/3/6e4));for(let x=0;x<this.xyz.length;x+=p){let A=this.xyz[x];if(Number.isNaN(A))continue;let[S,R]=this.path[Math.floor(x/f)];b.push(this.xyz[x+1]),m.push(Math.hypot(A-S,this.xyz[x+2]-R))}this.floor=Nh(b,.01),this.height=Math.max(Nh(b,.995)-this.floor,.2),this.reach=Math.max(Nh(m,.98),.2)}layout;frames;bodies;joints;seconds;knowsTime;skeleton;xyz;path;floor;height;reach;at;static ofMotion(e,t=!0){let{frame_numbers:n}=e,s=(n.at(-1)??e.num_frames-1)+1;return new i(e.layout,ko(e.positions),e.num_frames,e.num_bodies,e.num_joints,s/(e.fps||30),e.fps>0,t,n)}static ofSequence(e){let{num_frames:t,num_bodies:n,num_joints:s}=e;return new i(e.layout,A0(ko(e.positions),t*n*s),t,n,s,t/(e.fps||30),e.fps>0,!0)}static ofLive(e,t){let n=new i(e,new Float32Array(t*3).fill(Number.NaN),1,1,t,1,!1,!1);return Object.assign(n,{floor:-.95,height:1.8,reach:.75})}get isSeen(){return this.xyz.some(e=>!Number.isNaN(e))}shareOf(e){let t=Math.floor(e),[n,s]=[this.at[t]??0,this.at[t+1]??1];return n+(e-t)*(s-n)}poseAt(e){let t=this.frames-1,n=Math.min(Math.max(e,0),1),s=this.frameBefore(n),r=[Math.max(s-1,0),s,Math.min(s+1,t),Math.min(s+2,t)],[a,o,l,c]=r.map(E=>this.at[E]),u=l-o,d=u?(n-o)/u:0,[h,f]=[u/(l-a||1),u/(c-o||1)],g=this.bodies*this.joints*3,[b,m,p,x]=r.map(E=>E*g),A=new Float32Array(g);for(let E=0;E<g;E++){let v=this.xyz[b+E],T=this.xyz[m+E],B=this.xyz[p+E],F=this.xyz[x+E],[L,z]=[h*(B-v),f*(F-T)],G=3*(B-T)-2*L-z+d*(2*(T-B)+L+z),N=T+d*(L+d*G),H=T+d*(B-T);A[E]=Number.isNaN(N)?Number.isNaN(H)?d<.5?T:B:H:N}let[S,R]=[this.path[s],this.path[r[2]]];return{places:A,centre:[S[0]+d*(R[0]-S[0]),S[1]+d*(R[1]-S[1])]}}frameBefore(e){let[t,n]=[0,this.frames-1];for(;t<n;){let s=Math.ceil((t+n)/2);this.at[s]<=e?t=s:n=s-1}return t}};function zo(i,e,t){let n=ko(i.positions),s=n.length/i.num_frames;return{...i,positions:Bo(n.slice(e*s,t*s)),num_frames:t-e}}function A0(i,e){let t=i.length/e,n=new Float32Array(e*3);for(let s=0;s<e;s++){let r=i[s*t],a=i[s*t+1],o=t===3?i[s*t+2]:0;n.set([r,a,o],s*3)}return C0(n)}function C0(i){for(let e=0;e<i.length;e+=3){let t=Math.abs(i[e])+Math.abs(i[e+1])+Math.abs(i[e+2]);(t===0||Number.isNaN(t))&&i.fill(Number.NaN,e,e+3)}return i}function R0(i,e,t){for(let[n,s]of t)for(let r=0;r<i.length;r+=e*3){let a=i[r+3*n]-i[r+3*s],o=i[r+3*n+2]-i[r+3*s+2],l=Math.hypot(a,o);if(!(l>.001))continue;let[c,u]=[a/l,o/l],d=new Float32Array(i);for(let h=0;h<i.length;h+=3){let[f,g]=[i[h],i[h+2]];d[h]=c*f+u*g,d[h+2]=c*g-u*f}return d}return i}function P0(i){let[e,t,n]=[0,0,0];for(let s=0;s<i.length;s+=3)Number.isNaN(i[s])||(e+=i[s],t+=i[s+2],n+=1);return n?[e/n,t/n]:null}function I0(i,e){let t=i.find(s=>s!==null)??[0,0],n=[[0,0]];for(let s of i){t=s??t;let[r,a]=n.at(-1);n.push([r+t[0],a+t[1]])}return i.map((s,r)=>{let[a,o]=[Math.max(0,r-e),Math.min(i.length,r+e+1)],[l,c]=[n[a],n[o]];return[(c[0]-l[0])/(o-a),(c[1]-l[1])/(o-a)]})}function Nh(i,e){return i.length?Float64Array.from(i).sort()[Math.round(e*(i.length-1))]:0}var Er="gfp-token",_i=class extends Error{constructor(t,n,s="",r=""){super(s&&n.startsWith(`${s}: `)?n.slice(s.length+2):n);this.code=t;this.field=s;this.reason=r}code;field;reason};function Ps(i,e){return i instanceof _i&&i.code==="invalid_argument"&&i.field.startsWith(e)}function Ar(i){return i instanceof _i&&i.reason==="EMPTY_GALLERY"}var mf=async()=>null,Dh=null;function gf(i){mf=i}function _f(){return sessionStorage.getItem(Er)!==null}function Uh(){sessionStorage.removeItem(Er)}function L0(){let i=sessionStorage.getItem(Er);return{"content-type":"application/json",...i?{authorization:`Bearer ${i}`}:{}}}async function Fh(i,e){for(;;){let t=sessionStorage.getItem(Er),n;try{n=await fetch(i,{...e,headers:L0(),cache:"no-store"})}catch(a){throw a instanceof DOMException&&a.name==="AbortError"?a:new _i("unavailable","The server does not answer. Is gfp-serve still running?")}if(n.ok)return n;let s=await n.json().catch(()=>({}));if(s.code!=="unauthenticated"){let a=s.message??`The server answered ${n.status}.`;throw new _i(s.code??"unknown",a,s.field,s.reason)}if(sessionStorage.getItem(Er)!==t)continue;Dh??=mf(t!==null).finally(()=>{Dh=null});let r=await Dh;if(r===null)throw new _i(s.code,"This server asks for a token. Whoever runs it gives you one.");sessionStorage.setItem(Er,r)}}async function Bt(i,e,t){let n={method:"POST",body:JSON.stringify(e)};return t&&(n.signal=t),(await Fh(`/gfp_serve.v1.${i}`,n)).json()}var pf="/gfp_serve.v1.StreamService/EmbedStream",Vo=class{leaving=new AbortController;id="";opened;done;constructor(e,t){let n=()=>{},s=()=>{};this.opened=new Promise((r,a)=>{n=r,s=a}),this.opened.catch(()=>{}),this.done=this.read(e,(r,a)=>{if(r==="open")this.id=a.stream,n();else if(r==="error"){let{code:o,message:l,field:c,reason:u}=a;throw new _i(o,l,c,u)}else t(r,a)}).catch(r=>{if(s(r),!this.leaving.signal.aborted)throw r})}async send(e,t){await Fh(`${pf}?stream=${encodeURIComponent(this.id)}`,{method:"POST",body:JSON.stringify({frames:{positions:e,num_frames:t}}),signal:this.leaving.signal})}close(){this.leaving.abort()}async read(e,t){let n={method:"POST",body:JSON.stringify({config:e}),signal:this.leaving.signal},s=await Fh(pf,n);if(!s.body)return;let r=s.body.pipeThrough(new TextDecoderStream).getReader(),a="";for(;;){let{value:o,done:l}=await r.read();if(l)return;a+=o;let c=a.split(`

`);a=c.pop()??"";for(let u of c){let d=/^event: (.*)$/m.exec(u)?.[1]??"",h=/^data: (.*)$/m.exec(u)?.[1]??"{}";t(d,JSON.parse(h))}}}};var Go=class{info=null;galleries=[];gallery="default";file=null;handed=null;numChanges=0;onGalleries=()=>{};maps=new Map;kept=new Map;get mayWrite(){return this.info?.role==="write"||this.info?.role==="admin"}get numItems(){return Number(this.galleries.find(e=>e.name===this.gallery)?.num_items??0)}address(e,t={}){let n=new URLSearchParams;this.gallery!=="default"&&n.set("in",this.gallery);for(let[r,a]of Object.entries(t))a&&n.set(r,a);let s=n.toString();return`#${e}${s?`?${s}`:""}`}go(e,t={}){location.hash=this.address(e,t)}item(e){let t=`${this.gallery}
${e}`,n=this.kept.get(t);return n||(this.kept.size>500&&this.kept.clear(),n=Bt("GalleryService/Get",{ids:[e],with_motions:!0,gallery:this.gallery}).then(s=>s.items[0]),n.catch(()=>this.kept.delete(t)),this.kept.set(t,n)),n}async items(e,t=this.gallery){if(!e.length)return[];let{numChanges:n}=this,{items:s}=await Bt("GalleryService/Get",{ids:e,with_motions:!0,gallery:t});if(this.numChanges===n)for(let r of s)this.kept.set(`${t}
${r.id}`,Promise.resolve(r));return s}async mapItems(e=this.gallery){await this.readGalleries();let t=`${e}
${this.galleries.find(({name:s})=>s===e)?.generation}`,n=this.maps.get(t);return n||(this.maps.clear(),n=Bt("ViewService/MapItems",{gallery:e}),n.then(s=>s.is_improving&&this.maps.delete(t),()=>this.maps.delete(t)),this.maps.set(t,n)),n}async readGalleries(){let{galleries:e}=await Bt("GalleryService/ListGalleries",{});this.galleries=e.filter(t=>t.embedding_size>0),this.onGalleries()}forget(){this.numChanges+=1,this.kept.clear(),this.maps.clear(),this.readGalleries().catch(()=>{})}},ai="The gallery keeps no motion of this item. It keeps those that are added while gfp-serve runs with --keep-motion.";function vi(i){if(!i.motion?.num_frames)return null;let e=Yn.ofMotion(i.motion);return e.isSeen?e:null}var vf=matchMedia("(prefers-color-scheme: dark)"),xf=new Set,Ra=null;vf.addEventListener("change",()=>{Ra=null;for(let i of xf)i()});function Is(i){xf.add(i)}function En(){if(Ra)return Ra;let i=getComputedStyle(document.documentElement),e=t=>i.getPropertyValue(`--${t}`).trim();return Ra={left:e("left"),right:e("right"),trunk:e("trunk"),stage:e("stage"),floor:e("floor"),grid:e("grid"),faint:e("faint"),text:e("text"),line:e("line"),isDark:vf.matches},Ra}var N0=["#0f6fb5","#d9541e","#1c8a5a","#a3348c","#b58900","#5b52c4","#0d8f9c","#b3263e","#6c7a1f","#7d5238"],D0=["#5fb0ee","#ff8a57","#52c993","#e07bcb","#e6c14a","#a39bff","#4fd0dc","#ff7a8f","#b9c65a","#c99b7d"];function Cr(i,e){let t=En().isDark?D0:N0;if(e<=t.length)return t[i%t.length];let n=i*137.508%360,s=(En().isDark?[72,60,82]:[40,54,30])[i%3];return F0(n,En().isDark?62:66,s)}function Ho(i){let e=En().isDark?["#5a4fcf","#2f9fb3","#7fd16b","#f7e35a"]:["#3b2c85","#1f7f95","#4aa04a","#c9a400"],t=Math.min(Math.max(i,0),1)*(e.length-1),n=Math.min(Math.floor(t),e.length-2);return Pa(e[n],e[n+1],t-n)}function Wo(i){let[e,t,n]=En().isDark?["#6f8fa8","#f0b73a","#ff5a4a"]:["#7b93a6","#e09a00","#c81e1e"],s=Math.min(Math.max(i,0),1);return s<.5?Pa(e,t,2*s):Pa(t,n,2*s-1)}function Pa(i,e,t){let n=r=>[1,3,5].map(a=>Number.parseInt(r.slice(a,a+2),16)),s=n(e);return yf(n(i).map((r,a)=>r+t*(s[a]-r)))}function yf(i){return`#${i.map(e=>Math.round(e).toString(16).padStart(2,"0")).join("")}`}function F0(i,e,t){let[n,s]=[e/100,t/100],r=n*Math.min(s,1-s),a=o=>{let l=(o+i/30)%12;return 255*(s-r*Math.max(-1,Math.min(l-3,9-l,1)))};return yf([a(0),a(8),a(4)])}var U0="uplot",O0="u-hz",B0="u-vt",k0="u-title",z0="u-wrap",V0="u-under",G0="u-over",H0="u-axis",Ks="u-off",W0="u-select",X0="u-cursor-x",q0="u-cursor-y",Y0="u-cursor-pt",$0="u-legend",Z0="u-live",J0="u-inline",K0="u-series",j0="u-marker",bf="u-label",Q0="u-value",La="width",Na="height";var Sf="bottom",Rr="left",Oh="right",eu="#000",Mf=eu+"0",Bh="mousemove",wf="mousedown",kh="mouseup",Tf="mouseenter",Ef="mouseleave",Af="dblclick",e_="resize",t_="scroll",Cf="change",Zo="dppxchange",tu="--",Ur=typeof window<"u",Wh=Ur?document:null,Ir=Ur?window:null,n_=Ur?navigator:null,Et,Xo;function Xh(){let i=devicePixelRatio;Et!=i&&(Et=i,Xo&&Yh(Cf,Xo,Xh),Xo=matchMedia(`(min-resolution: ${Et-.001}dppx) and (max-resolution: ${Et+.001}dppx)`),js(Cf,Xo,Xh),Ir.dispatchEvent(new CustomEvent(Zo)))}function oi(i,e){if(e!=null){let t=i.classList;!t.contains(e)&&t.add(e)}}function qh(i,e){let t=i.classList;t.contains(e)&&t.remove(e)}function Ht(i,e,t){i.style[e]=t+"px"}function Ci(i,e,t,n){let s=Wh.createElement(i);return e!=null&&oi(s,e),t?.insertBefore(s,n),s}function xi(i,e){return Ci("div",i,e)}var Rf=new WeakMap;function qi(i,e,t,n,s){let r="translate("+e+"px,"+t+"px)",a=Rf.get(i);r!=a&&(i.style.transform=r,Rf.set(i,r),e<0||t<0||e>n||t>s?oi(i,Ks):qh(i,Ks))}var Pf=new WeakMap;function If(i,e,t){let n=e+t,s=Pf.get(i);n!=s&&(Pf.set(i,n),i.style.background=e,i.style.borderColor=t)}var Lf=new WeakMap;function Nf(i,e,t,n){let s=e+""+t,r=Lf.get(i);s!=r&&(Lf.set(i,s),i.style.height=t+"px",i.style.width=e+"px",i.style.marginLeft=n?-e/2+"px":0,i.style.marginTop=n?-t/2+"px":0)}var nu={passive:!0},i_={...nu,capture:!0};function js(i,e,t,n){e.addEventListener(i,t,n?i_:nu)}function Yh(i,e,t,n){e.removeEventListener(i,t,nu)}Ur&&Xh();function Ri(i,e,t,n){let s;t=t||0,n=n||e.length-1;let r=n<=2147483647;for(;n-t>1;)s=r?t+n>>1:li((t+n)/2),e[s]<i?t=s:n=s;return i-e[t]<=e[n]-i?t:n}function op(i){return(t,n,s)=>{let r=-1,a=-1;for(let o=n;o<=s;o++)if(i(t[o])){r=o;break}for(let o=s;o>=n;o--)if(i(t[o])){a=o;break}return[r,a]}}var lp=i=>i!=null,cp=i=>i!=null&&i>0,jo=op(lp),s_=op(cp);function r_(i,e,t,n=0,s=!1){let r=s?s_:jo,a=s?cp:lp;[e,t]=r(i,e,t);let o=i[e],l=i[e];if(e>-1)if(n==1)o=i[e],l=i[t];else if(n==-1)o=i[t],l=i[e];else for(let c=e;c<=t;c++){let u=i[c];a(u)&&(u<o?o=u:u>l&&(l=u))}return[o??Ft,l??-Ft]}function Qo(i,e,t,n){let s=Uf(i),r=Uf(e);i==e&&(s==-1?(i*=t,e/=t):(i/=t,e*=t));let a=t==10?as:hp,o=s==1?li:yi,l=r==1?yi:li,c=o(a(_n(i))),u=l(a(_n(e))),d=Lr(t,c),h=Lr(t,u);return t==10&&(c<0&&(d=Ut(d,-c)),u<0&&(h=Ut(h,-u))),n||t==2?(i=d*s,e=h*r):(i=pp(i,d),e=el(e,h)),[i,e]}function iu(i,e,t,n){let s=Qo(i,e,t,n);return i==0&&(s[0]=0),e==0&&(s[1]=0),s}var su=.1,Df={mode:3,pad:su},Fa={pad:0,soft:null,mode:0},a_={min:Fa,max:Fa};function Jo(i,e,t,n){return tl(t)?Ff(i,e,t):(Fa.pad=t,Fa.soft=n?0:null,Fa.mode=n?3:0,Ff(i,e,a_))}function wt(i,e){return i??e}function o_(i,e,t){for(e=wt(e,0),t=wt(t,i.length-1);e<=t;){if(i[e]!=null)return!0;e++}return!1}function Ff(i,e,t){let n=t.min,s=t.max,r=wt(n.pad,0),a=wt(s.pad,0),o=wt(n.hard,-Ft),l=wt(s.hard,Ft),c=wt(n.soft,Ft),u=wt(s.soft,-Ft),d=wt(n.mode,0),h=wt(s.mode,0),f=e-i,g=as(f),b=Gn(_n(i),_n(e)),m=as(b),p=_n(m-g);(f<1e-24||p>10)&&(f=0,(i==0||e==0)&&(f=1e-24,d==2&&c!=Ft&&(r=0),h==2&&u!=-Ft&&(a=0)));let x=f||b||1e3,A=as(x),S=Lr(10,li(A)),R=x*(f==0?i==0?.1:1:r),E=Ut(pp(i-R,S/10),24),v=i>=c&&(d==1||d==3&&E<=c||d==2&&E>=c)?c:Ft,T=Gn(o,E<v&&i>=v?v:Pi(v,E)),B=x*(f==0?e==0?.1:1:a),F=Ut(el(e+B,S/10),24),L=e<=u&&(h==1||h==3&&F>=u||h==2&&F<=u)?u:-Ft,z=Pi(l,F>L&&e<=L?L:Gn(L,F));return T==z&&T==0&&(z=100),[T,z]}var l_=new Intl.NumberFormat(Ur?n_.language:"en-US"),ru=i=>l_.format(i),ci=Math,$o=ci.PI,_n=ci.abs,li=ci.floor,gn=ci.round,yi=ci.ceil,Pi=ci.min,Gn=ci.max,Lr=ci.pow,Uf=ci.sign,as=ci.log10,hp=ci.log2,c_=(i,e=1)=>ci.sinh(i)*e,zh=(i,e=1)=>ci.asinh(i/e),Ft=1/0;function Of(i){return(as((i^i>>31)-(i>>31))|0)+1}function $h(i,e,t){return Pi(Gn(i,e),t)}function up(i){return typeof i=="function"}function gt(i){return up(i)?i:()=>i}var h_=()=>{},dp=i=>i,fp=(i,e)=>e,u_=i=>null,Bf=i=>!0,kf=(i,e)=>i==e,d_=/\.\d*?(?=9{6,}|0{6,})/gm,Qs=i=>{if(gp(i)||Ns.has(i))return i;let e=`${i}`,t=e.match(d_);if(t==null)return i;let n=t[0].length-1;if(e.indexOf("e-")!=-1){let[s,r]=e.split("e");return+`${Qs(s)}e${r}`}return Ut(i,n)};function Zs(i,e){return Qs(Ut(Qs(i/e))*e)}function el(i,e){return Qs(yi(Qs(i/e))*e)}function pp(i,e){return Qs(li(Qs(i/e))*e)}function Ut(i,e=0){if(gp(i))return i;let t=10**e,n=i*t*(1+Number.EPSILON);return gn(n)/t}var Ns=new Map;function mp(i){return((""+i).split(".")[1]||"").length}function Oa(i,e,t,n){let s=[],r=n.map(mp);for(let a=e;a<t;a++){let o=_n(a),l=Ut(Lr(i,a),o);for(let c=0;c<n.length;c++){let u=i==10?+`${n[c]}e${a}`:n[c]*l,d=(a>=0?0:o)+(a>=r[c]?0:r[c]),h=i==10?u:Ut(u,d);s.push(h),Ns.set(h,d)}}return s}var Ua={},au=[],Nr=[null,null],Ls=Array.isArray,gp=Number.isInteger,f_=i=>i===void 0;function zf(i){return typeof i=="string"}function tl(i){let e=!1;if(i!=null){let t=i.constructor;e=t==null||t==Object}return e}function p_(i){return i!=null&&typeof i=="object"}var m_=Object.getPrototypeOf(Uint8Array),_p="__proto__";function Dr(i,e=tl){let t;if(Ls(i)){let n=i.find(s=>s!=null);if(Ls(n)||e(n)){t=Array(i.length);for(let s=0;s<i.length;s++)t[s]=Dr(i[s],e)}else t=i.slice()}else if(i instanceof m_)t=i.slice();else if(e(i)){t={};for(let n in i)n!=_p&&(t[n]=Dr(i[n],e))}else t=i;return t}function dn(i){let e=arguments;for(let t=1;t<e.length;t++){let n=e[t];for(let s in n)s!=_p&&(tl(i[s])?dn(i[s],Dr(n[s])):i[s]=Dr(n[s]))}return i}var g_=0,__=1,v_=2;function x_(i,e,t){for(let n=0,s,r=-1;n<e.length;n++){let a=e[n];if(a>r){for(s=a-1;s>=0&&i[s]==null;)i[s--]=null;for(s=a+1;s<t&&i[s]==null;)i[r=s++]=null}}}function y_(i,e){if(M_(i)){let a=i[0].slice();for(let o=1;o<i.length;o++)a.push(...i[o].slice(1));return w_(a[0])||(a=S_(a)),a}let t=new Set;for(let a=0;a<i.length;a++){let l=i[a][0],c=l.length;for(let u=0;u<c;u++)t.add(l[u])}let n=[Array.from(t).sort((a,o)=>a-o)],s=n[0].length,r=new Map;for(let a=0;a<s;a++)r.set(n[0][a],a);for(let a=0;a<i.length;a++){let o=i[a],l=o[0];for(let c=1;c<o.length;c++){let u=o[c],d=Array(s).fill(void 0),h=e?e[a][c]:__,f=[];for(let g=0;g<u.length;g++){let b=u[g],m=r.get(l[g]);b===null?h!=g_&&(d[m]=b,h==v_&&f.push(m)):d[m]=b}x_(d,f,s),n.push(d)}}return n}var b_=typeof queueMicrotask>"u"?i=>Promise.resolve().then(i):queueMicrotask;function S_(i){let e=i[0],t=e.length,n=Array(t);for(let r=0;r<n.length;r++)n[r]=r;n.sort((r,a)=>e[r]-e[a]);let s=[];for(let r=0;r<i.length;r++){let a=i[r],o=Array(t);for(let l=0;l<t;l++)o[l]=a[n[l]];s.push(o)}return s}function M_(i){let e=i[0][0],t=e.length;for(let n=1;n<i.length;n++){let s=i[n][0];if(s.length!=t)return!1;if(s!=e){for(let r=0;r<t;r++)if(s[r]!=e[r])return!1}}return!0}function w_(i,e=100){let t=i.length;if(t<=1)return!0;let n=0,s=t-1;for(;n<=s&&i[n]==null;)n++;for(;s>=n&&i[s]==null;)s--;if(s<=n)return!0;let r=Gn(1,li((s-n+1)/e));for(let a=i[n],o=n+r;o<=s;o+=r){let l=i[o];if(l!=null){if(l<=a)return!1;a=l}}return!0}var vp=["January","February","March","April","May","June","July","August","September","October","November","December"],xp=["Sunday","Monday","Tuesday","Wednesday","Thursday","Friday","Saturday"];function yp(i){return i.slice(0,3)}var T_=xp.map(yp),E_=vp.map(yp),A_={MMMM:vp,MMM:E_,WWWW:xp,WWW:T_};function Ia(i){return(i<10?"0":"")+i}function C_(i){return(i<10?"00":i<100?"0":"")+i}var R_={YYYY:i=>i.getFullYear(),YY:i=>(i.getFullYear()+"").slice(2),MMMM:(i,e)=>e.MMMM[i.getMonth()],MMM:(i,e)=>e.MMM[i.getMonth()],MM:i=>Ia(i.getMonth()+1),M:i=>i.getMonth()+1,DD:i=>Ia(i.getDate()),D:i=>i.getDate(),WWWW:(i,e)=>e.WWWW[i.getDay()],WWW:(i,e)=>e.WWW[i.getDay()],HH:i=>Ia(i.getHours()),H:i=>i.getHours(),h:i=>{let e=i.getHours();return e==0?12:e>12?e-12:e},AA:i=>i.getHours()>=12?"PM":"AM",aa:i=>i.getHours()>=12?"pm":"am",a:i=>i.getHours()>=12?"p":"a",mm:i=>Ia(i.getMinutes()),m:i=>i.getMinutes(),ss:i=>Ia(i.getSeconds()),s:i=>i.getSeconds(),fff:i=>C_(i.getMilliseconds())};function ou(i,e){e=e||A_;let t=[],n=/\{([a-z]+)\}|[^{]+/gi,s;for(;s=n.exec(i);)t.push(s[0][0]=="{"?R_[s[1]]:s[0]);return r=>{let a="";for(let o=0;o<t.length;o++)a+=typeof t[o]=="string"?t[o]:t[o](r,e);return a}}var P_=new Intl.DateTimeFormat().resolvedOptions().timeZone;function I_(i,e){let t;return e=="UTC"||e=="Etc/UTC"?t=new Date(+i+i.getTimezoneOffset()*6e4):e==P_?t=i:(t=new Date(i.toLocaleString("en-US",{timeZone:e})),t.setMilliseconds(i.getMilliseconds())),t}var bp=i=>i%1==0,Ko=[1,2,2.5,5],L_=Oa(10,-32,0,Ko),Sp=Oa(10,0,32,Ko),N_=Sp.filter(bp),Js=L_.concat(Sp),lu=`
`,Mp="{YYYY}",Vf=lu+Mp,wp="{M}/{D}",Da=lu+wp,qo=Da+"/{YY}",Tp="{aa}",D_="{h}:{mm}",Pr=D_+Tp,Gf=lu+Pr,Hf=":{ss}",At=null;function Ep(i){let e=i*1e3,t=e*60,n=t*60,s=n*24,r=s*30,a=s*365,l=(i==1?Oa(10,0,3,Ko).filter(bp):Oa(10,-3,0,Ko)).concat([e,e*5,e*10,e*15,e*30,t,t*5,t*10,t*15,t*30,n,n*2,n*3,n*4,n*6,n*8,n*12,s,s*2,s*3,s*4,s*5,s*6,s*7,s*8,s*9,s*10,s*15,r,r*2,r*3,r*4,r*6,a,a*2,a*5,a*10,a*25,a*50,a*100]),c=[[a,Mp,At,At,At,At,At,At,1],[s*28,"{MMM}",Vf,At,At,At,At,At,1],[s,wp,Vf,At,At,At,At,At,1],[n,"{h}"+Tp,qo,At,Da,At,At,At,1],[t,Pr,qo,At,Da,At,At,At,1],[e,Hf,qo+" "+Pr,At,Da+" "+Pr,At,Gf,At,1],[i,Hf+".{fff}",qo+" "+Pr,At,Da+" "+Pr,At,Gf,At,1]];function u(d){return(h,f,g,b,m,p)=>{let x=[],A=m>=a,S=m>=r&&m<a,R=d(g),E=Ut(R*i,3),v=Vh(R.getFullYear(),A?0:R.getMonth(),S||A?1:R.getDate()),T=Ut(v*i,3);if(S||A){let B=S?m/r:0,F=A?m/a:0,L=E==T?E:Ut(Vh(v.getFullYear()+F,v.getMonth()+B,1)*i,3),z=new Date(gn(L/i)),G=z.getFullYear(),N=z.getMonth();for(let H=0;L<=b;H++){let Y=Vh(G+F*H,N+B*H,1),W=Y-d(Ut(Y*i,3));L=Ut((+Y+W)*i,3),L<=b&&x.push(L)}}else{let B=m>=s?s:m,F=li(g)-li(E),L=T+F+el(E-T,B);x.push(L);let z=d(L),G=z.getHours()+z.getMinutes()/t+z.getSeconds()/n,N=m/n,H=h.axes[f]._space,Y=p/H;for(;L=Ut(L+m,i==1?0:3),!(L>b);)if(N>1){let W=li(Ut(G+N,6))%24,Q=d(L).getHours()-W;Q>1&&(Q=-1),L-=Q*n,G=(G+N)%24;let se=x[x.length-1];Ut((L-se)/m,3)*Y>=.7&&x.push(L)}else x.push(L)}return x}}return[l,c,u]}var[F_,U_,O_]=Ep(1),[B_,k_,z_]=Ep(.001);Oa(2,-53,53,[1]);function Wf(i,e){return i.map(t=>t.map((n,s)=>s==0||s==8||n==null?n:e(s==1||t[8]==0?n:t[1]+n)))}function Xf(i,e){return(t,n,s,r,a)=>{let o=e.find(g=>a>=g[0])||e[e.length-1],l,c,u,d,h,f;return n.map(g=>{let b=i(g),m=b.getFullYear(),p=b.getMonth(),x=b.getDate(),A=b.getHours(),S=b.getMinutes(),R=b.getSeconds(),E=m!=l&&o[2]||p!=c&&o[3]||x!=u&&o[4]||A!=d&&o[5]||S!=h&&o[6]||R!=f&&o[7]||o[1];return l=m,c=p,u=x,d=A,h=S,f=R,E(b)})}}function V_(i,e){let t=ou(e);return(n,s,r,a,o)=>s.map(l=>t(i(l)))}function Vh(i,e,t){return new Date(i,e,t)}function qf(i,e){return e(i)}var G_="{YYYY}-{MM}-{DD} {h}:{mm}{aa}";function Yf(i,e){return(t,n,s,r)=>r==null?tu:e(i(n))}function H_(i,e){let t=i.series[e];return t.width?t.stroke(i,e):t.points.width?t.points.stroke(i,e):null}function W_(i,e){return i.series[e].fill(i,e)}var X_={show:!0,live:!0,isolate:!1,mount:h_,markers:{show:!0,width:2,stroke:H_,fill:W_,dash:"solid"},idx:null,idxs:null,values:[]};function q_(i,e){let t=i.cursor.points,n=xi(),s=t.size(i,e);Ht(n,La,s),Ht(n,Na,s);let r=s/-2;Ht(n,"marginLeft",r),Ht(n,"marginTop",r);let a=t.width(i,e,s);return a&&Ht(n,"borderWidth",a),n}function Y_(i,e){let t=i.series[e].points;return t._fill||t._stroke}function $_(i,e){let t=i.series[e].points;return t._stroke||t._fill}function Z_(i,e){return i.series[e].points.size}var Gh=[0,0];function J_(i,e,t){return Gh[0]=e,Gh[1]=t,Gh}function Yo(i,e,t,n=!0){return s=>{s.button==0&&(!n||s.target==e)&&t(s)}}function Hh(i,e,t,n=!0){return s=>{(!n||s.target==e)&&t(s)}}var K_={show:!0,x:!0,y:!0,lock:!1,move:J_,points:{one:!1,show:q_,size:Z_,width:0,stroke:$_,fill:Y_},bind:{mousedown:Yo,mouseup:Yo,click:Yo,dblclick:Yo,mousemove:Hh,mouseleave:Hh,mouseenter:Hh},drag:{setScale:!0,x:!0,y:!1,dist:0,uni:null,click:(i,e)=>{e.stopPropagation(),e.stopImmediatePropagation()},_x:!1,_y:!1},focus:{dist:(i,e,t,n,s)=>n-s,prox:-1,bias:0},hover:{skip:[void 0],prox:null,bias:0},left:-10,top:-10,idx:null,dataIdx:null,idxs:null,event:null},Ap={show:!0,stroke:"rgba(0,0,0,0.07)",width:2},cu=dn({},Ap,{filter:fp}),Cp=dn({},cu,{size:10}),Rp=dn({},Ap,{show:!1}),hu='12px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, "Noto Sans", sans-serif, "Apple Color Emoji", "Segoe UI Emoji", "Segoe UI Symbol", "Noto Color Emoji"',Pp="bold "+hu,Ip=1.5,$f={show:!0,scale:"x",stroke:eu,space:50,gap:5,alignTo:1,size:50,labelGap:0,labelSize:30,labelFont:Pp,side:2,grid:cu,ticks:Cp,border:Rp,font:hu,lineGap:Ip,rotate:0},j_="Value",Q_="Time",Zf={show:!0,scale:"x",auto:!1,sorted:1,min:Ft,max:-Ft,idxs:[]};function ev(i,e,t,n,s){return e.map(r=>r==null?"":ru(r))}function tv(i,e,t,n,s,r,a){let o=[],l=Ns.get(s)||0;t=a?t:Ut(el(t,s),l);for(let c=t;c<=n;c=Ut(c+s,l))o.push(Object.is(c,-0)?0:c);return o}function Zh(i,e,t,n,s,r,a){let o=[],l=i.scales[i.axes[e].scale].log,c=l==10?as:hp,u=li(c(t));s=Lr(l,u),l==10&&(s=Js[Ri(s,Js)]);let d=t,h=s*l;l==10&&(h=Js[Ri(h,Js)]);do o.push(d),d=d+s,l==10&&!Ns.has(d)&&(d=Ut(d,Ns.get(s))),d>=h&&(s=d,h=s*l,l==10&&(h=Js[Ri(h,Js)]));while(d<=n);return o}function nv(i,e,t,n,s,r,a){let l=i.scales[i.axes[e].scale].asinh,c=n>l?Zh(i,e,Gn(l,t),n,s):[l],u=n>=0&&t<=0?[0]:[];return(t<-l?Zh(i,e,Gn(l,-n),-t,s):[l]).reverse().map(h=>-h).concat(u,c)}var Lp=/./,iv=/[12357]/,sv=/[125]/,Jf=/1/,Jh=(i,e,t,n)=>i.map((s,r)=>e==4&&s==0||r%n==0&&t.test(s.toExponential()[s<0?1:0])?s:null);function rv(i,e,t,n,s){let r=i.axes[t],a=r.scale,o=i.scales[a],l=i.valToPos,c=r._space,u=l(10,a),d=l(9,a)-u>=c?Lp:l(7,a)-u>=c?iv:l(5,a)-u>=c?sv:Jf;if(d==Jf){let h=_n(l(1,a)-u);if(h<c)return Jh(e.slice().reverse(),o.distr,d,yi(c/h)).reverse()}return Jh(e,o.distr,d,1)}function av(i,e,t,n,s){let r=i.axes[t],a=r.scale,o=r._space,l=i.valToPos,c=_n(l(1,a)-l(2,a));return c<o?Jh(e.slice().reverse(),3,Lp,yi(o/c)).reverse():e}function ov(i,e,t,n){return n==null?tu:e==null?"":ru(e)}var Kf={show:!0,scale:"y",stroke:eu,space:30,gap:5,alignTo:1,size:50,labelGap:0,labelSize:30,labelFont:Pp,side:3,grid:cu,ticks:Cp,border:Rp,font:hu,lineGap:Ip,rotate:0};function lv(i,e){let t=3+(i||1)*2;return Ut(t*e,3)}function cv(i,e){let{scale:t,idxs:n}=i.series[0],s=i._data[0],r=i.valToPos(s[n[0]],t,!0),a=i.valToPos(s[n[1]],t,!0),o=_n(a-r),l=i.series[e],c=o/(l.points.space*Et);return n[1]-n[0]<=c}var jf={scale:null,auto:!0,sorted:0,min:Ft,max:-Ft},Np=(i,e,t,n,s)=>s,Qf={show:!0,auto:!0,sorted:0,gaps:Np,alpha:1,facets:[dn({},jf,{scale:"x"}),dn({},jf,{scale:"y"})]},ep={scale:"y",auto:!0,sorted:0,show:!0,spanGaps:!1,gaps:Np,alpha:1,points:{show:cv,filter:null},values:null,min:Ft,max:-Ft,idxs:[],path:null,clip:null};function hv(i,e,t,n,s){return t/10}var Dp={time:!0,auto:!0,distr:1,log:10,asinh:1,min:null,max:null,dir:1,ori:0},uv=dn({},Dp,{time:!1,ori:1}),tp={};function Fp(i,e){let t=tp[i];return t||(t={key:i,plots:[],sub(n){t.plots.push(n)},unsub(n){t.plots=t.plots.filter(s=>s!=n)},pub(n,s,r,a,o,l,c){for(let u=0;u<t.plots.length;u++)t.plots[u]!=s&&t.plots[u].pub(n,s,r,a,o,l,c)}},i!=null&&(tp[i]=t)),t}var Fr=1,Kh=2;function er(i,e,t){let n=i.mode,s=i.series[e],r=n==2?i._data[e]:i._data,a=i.scales,o=i.bbox,l=r[0],c=n==2?r[1]:r[e],u=n==2?a[s.facets[0].scale]:a[i.series[0].scale],d=n==2?a[s.facets[1].scale]:a[s.scale],h=o.left,f=o.top,g=o.width,b=o.height,m=i.valToPosH,p=i.valToPosV;return u.ori==0?t(s,l,c,u,d,m,p,h,f,g,b,il,Or,rl,Op,kp):t(s,l,c,u,d,p,m,f,h,b,g,sl,Br,fu,Bp,zp)}function uu(i,e){let t=0,n=0,s=wt(i.bands,au);for(let r=0;r<s.length;r++){let a=s[r];a.series[0]==e?t=a.dir:a.series[1]==e&&(a.dir==1?n|=1:n|=2)}return[t,n==1?-1:n==2?1:n==3?2:0]}function dv(i,e,t,n,s){let r=i.mode,a=i.series[e],o=r==2?a.facets[1].scale:a.scale,l=i.scales[o];return s==-1?l.min:s==1?l.max:l.distr==3?l.dir==1?l.min:l.max:0}function os(i,e,t,n,s,r){return er(i,e,(a,o,l,c,u,d,h,f,g,b,m)=>{let p=a.pxRound,x=c.dir*(c.ori==0?1:-1),A=c.ori==0?Or:Br,S,R;x==1?(S=t,R=n):(S=n,R=t);let E=p(d(o[S],c,b,f)),v=p(h(l[S],u,m,g)),T=p(d(o[R],c,b,f)),B=p(h(r==1?u.max:u.min,u,m,g)),F=new Path2D(s);return A(F,T,B),A(F,E,B),A(F,E,v),F})}function nl(i,e,t,n,s,r){let a=null;if(i.length>0){a=new Path2D;let o=e==0?rl:fu,l=t;for(let d=0;d<i.length;d++){let h=i[d];if(h[1]>h[0]){let f=h[0]-l;f>0&&o(a,l,n,f,n+r),l=h[1]}}let c=t+s-l,u=10;c>0&&o(a,l,n-u/2,c,n+r+u)}return a}function fv(i,e,t){let n=i[i.length-1];n&&n[0]==e?n[1]=t:i.push([e,t])}function du(i,e,t,n,s,r,a){let o=[],l=i.length;for(let c=s==1?t:n;c>=t&&c<=n;c+=s)if(e[c]===null){let d=c,h=c;if(s==1)for(;++c<=n&&e[c]===null;)h=c;else for(;--c>=t&&e[c]===null;)h=c;let f=r(i[d]),g=h==d?f:r(i[h]),b=d-s;f=a<=0&&b>=0&&b<l?r(i[b]):f;let p=h+s;g=a>=0&&p>=0&&p<l?r(i[p]):g,g>=f&&o.push([f,g])}return o}function np(i){return i==0?dp:i==1?gn:e=>Zs(e,i)}function Up(i){let e=i==0?il:sl,t=i==0?(s,r,a,o,l,c)=>{s.arcTo(r,a,o,l,c)}:(s,r,a,o,l,c)=>{s.arcTo(a,r,l,o,c)},n=i==0?(s,r,a,o,l)=>{s.rect(r,a,o,l)}:(s,r,a,o,l)=>{s.rect(a,r,l,o)};return(s,r,a,o,l,c=0,u=0)=>{c==0&&u==0?n(s,r,a,o,l):(c=Pi(c,o/2,l/2),u=Pi(u,o/2,l/2),e(s,r+c,a),t(s,r+o,a,r+o,a+l,c),t(s,r+o,a+l,r,a+l,u),t(s,r,a+l,r,a,u),t(s,r,a,r+o,a,c),s.closePath())}}var il=(i,e,t)=>{i.moveTo(e,t)},sl=(i,e,t)=>{i.moveTo(t,e)},Or=(i,e,t)=>{i.lineTo(e,t)},Br=(i,e,t)=>{i.lineTo(t,e)},rl=Up(0),fu=Up(1),Op=(i,e,t,n,s,r)=>{i.arc(e,t,n,s,r)},Bp=(i,e,t,n,s,r)=>{i.arc(t,e,n,s,r)},kp=(i,e,t,n,s,r,a)=>{i.bezierCurveTo(e,t,n,s,r,a)},zp=(i,e,t,n,s,r,a)=>{i.bezierCurveTo(t,e,s,n,a,r)};function Vp(i){return(e,t,n,s,r)=>er(e,t,(a,o,l,c,u,d,h,f,g,b,m)=>{let{pxRound:p,points:x}=a,A,S;c.ori==0?(A=il,S=Op):(A=sl,S=Bp);let R=Ut(x.width*Et,3),E=(x.size-x.width)/2*Et,v=Ut(E*2,3),T=new Path2D,B=new Path2D,{left:F,top:L,width:z,height:G}=e.bbox;rl(B,F-v,L-v,z+v*2,G+v*2);let N=H=>{if(l[H]!=null){let Y=p(d(o[H],c,b,f)),W=p(h(l[H],u,m,g));A(T,Y+E,W),S(T,Y,W,E,0,$o*2)}};if(r)r.forEach(N);else for(let H=n;H<=s;H++)N(H);return{stroke:R>0?T:null,fill:T,clip:B,flags:Fr|Kh}})}function Gp(i){return(e,t,n,s,r,a)=>{n!=s&&(r!=n&&a!=n&&i(e,t,n),r!=s&&a!=s&&i(e,t,s),i(e,t,a))}}var pv=Gp(Or),mv=Gp(Br);function Hp(i){let e=wt(i?.alignGaps,0);return(t,n,s,r)=>er(t,n,(a,o,l,c,u,d,h,f,g,b,m)=>{[s,r]=jo(l,s,r);let p=a.pxRound,x=G=>p(d(G,c,b,f)),A=G=>p(h(G,u,m,g)),S,R;c.ori==0?(S=Or,R=pv):(S=Br,R=mv);let E=c.dir*(c.ori==0?1:-1),v={stroke:new Path2D,fill:null,clip:null,band:null,gaps:null,flags:Fr},T=v.stroke,B=!1;if(r-s>=b*4){let G=ue=>t.posToVal(ue,c.key,!0),N=null,H=null,Y,W,ce,K=x(o[E==1?s:r]),Q=x(o[s]),se=x(o[r]),de=G(E==1?Q+1:se-1);for(let ue=E==1?s:r;ue>=s&&ue<=r;ue+=E){let ee=o[ue],ve=(E==1?ee<de:ee>de)?K:x(ee),Ae=l[ue];ve==K?Ae!=null?(W=Ae,N==null?(S(T,ve,A(W)),Y=N=H=W):W<N?N=W:W>H&&(H=W)):Ae===null&&(B=!0):(N!=null&&R(T,K,A(N),A(H),A(Y),A(W)),Ae!=null?(W=Ae,S(T,ve,A(W)),N=H=Y=W):(N=H=null,Ae===null&&(B=!0)),K=ve,de=G(K+E))}N!=null&&N!=H&&ce!=K&&R(T,K,A(N),A(H),A(Y),A(W))}else for(let G=E==1?s:r;G>=s&&G<=r;G+=E){let N=l[G];N===null?B=!0:N!=null&&S(T,x(o[G]),A(N))}let[L,z]=uu(t,n);if(a.fill!=null||L!=0){let G=v.fill=new Path2D(T),N=a.fillTo(t,n,a.min,a.max,L),H=A(N),Y=x(o[s]),W=x(o[r]);E==-1&&([W,Y]=[Y,W]),S(G,W,H),S(G,Y,H)}if(!a.spanGaps){let G=[];B&&G.push(...du(o,l,s,r,E,x,e)),v.gaps=G=a.gaps(t,n,s,r,G),v.clip=nl(G,c.ori,f,g,b,m)}return z!=0&&(v.band=z==2?[os(t,n,s,r,T,-1),os(t,n,s,r,T,1)]:os(t,n,s,r,T,z)),v})}function gv(i){let e=wt(i.align,1),t=wt(i.ascDesc,!1),n=wt(i.alignGaps,0),s=wt(i.extend,!1);return(r,a,o,l)=>er(r,a,(c,u,d,h,f,g,b,m,p,x,A)=>{[o,l]=jo(d,o,l);let S=c.pxRound,{left:R,width:E}=r.bbox,v=Q=>S(g(Q,h,x,m)),T=Q=>S(b(Q,f,A,p)),B=h.ori==0?Or:Br,F={stroke:new Path2D,fill:null,clip:null,band:null,gaps:null,flags:Fr},L=F.stroke,z=h.dir*(h.ori==0?1:-1),G=T(d[z==1?o:l]),N=v(u[z==1?o:l]),H=N,Y=N;s&&e==-1&&(Y=R,B(L,Y,G)),B(L,N,G);for(let Q=z==1?o:l;Q>=o&&Q<=l;Q+=z){let se=d[Q];if(se==null)continue;let de=v(u[Q]),ue=T(se);e==1?B(L,de,G):B(L,H,ue),B(L,de,ue),G=ue,H=de}let W=H;s&&e==1&&(W=R+E,B(L,W,G));let[ce,K]=uu(r,a);if(c.fill!=null||ce!=0){let Q=F.fill=new Path2D(L),se=c.fillTo(r,a,c.min,c.max,ce),de=T(se);B(Q,W,de),B(Q,Y,de)}if(!c.spanGaps){let Q=[];Q.push(...du(u,d,o,l,z,v,n));let se=c.width*Et/2,de=t||e==1?se:-se,ue=t||e==-1?-se:se;Q.forEach(ee=>{ee[0]+=de,ee[1]+=ue}),F.gaps=Q=c.gaps(r,a,o,l,Q),F.clip=nl(Q,h.ori,m,p,x,A)}return K!=0&&(F.band=K==2?[os(r,a,o,l,L,-1),os(r,a,o,l,L,1)]:os(r,a,o,l,L,K)),F})}function ip(i,e,t,n,s,r,a=Ft){if(i.length>1){let o=null;for(let l=0,c=1/0;l<i.length;l++)if(e[l]!==void 0){if(o!=null){let u=_n(i[l]-i[o]);u<c&&(c=u,a=_n(t(i[l],n,s,r)-t(i[o],n,s,r)))}o=l}}return a}function _v(i){i=i||Ua;let e=wt(i.size,[.6,Ft,1]),t=i.align||0,n=i.gap||0,s=i.radius;s=s==null?[0,0]:typeof s=="number"?[s,0]:s;let r=gt(s),a=1-e[0],o=wt(e[1],Ft),l=wt(e[2],1),c=wt(i.disp,Ua),u=wt(i.each,f=>{}),{fill:d,stroke:h}=c;return(f,g,b,m)=>er(f,g,(p,x,A,S,R,E,v,T,B,F,L)=>{let z=p.pxRound,G=t,N=n*Et,H=o*Et,Y=l*Et,W,ce;S.ori==0?[W,ce]=r(f,g):[ce,W]=r(f,g);let K=S.dir*(S.ori==0?1:-1),Q=S.ori==0?rl:fu,se=S.ori==0?u:(Re,qe,it,Me,Dt,ze,Xe)=>{u(Re,qe,it,Dt,Me,Xe,ze)},de=wt(f.bands,au).find(Re=>Re.series[0]==g),ue=de!=null?de.dir:0,ee=p.fillTo(f,g,p.min,p.max,ue),me=z(v(ee,R,L,B)),ve,Ae,Se,He=F,nt=z(p.width*Et),Ve=!1,ht=null,at=null,et=null,qt=null;d!=null&&(nt==0||h!=null)&&(Ve=!0,ht=d.values(f,g,b,m),at=new Map,new Set(ht).forEach(Re=>{Re!=null&&at.set(Re,new Path2D)}),nt>0&&(et=h.values(f,g,b,m),qt=new Map,new Set(et).forEach(Re=>{Re!=null&&qt.set(Re,new Path2D)})));let{x0:Ot,size:an}=c;if(Ot!=null&&an!=null){G=1,x=Ot.values(f,g,b,m),Ot.unit==2&&(x=x.map(it=>f.posToVal(T+it*F,S.key,!0)));let Re=an.values(f,g,b,m);an.unit==2?Ae=Re[0]*F:Ae=E(Re[0],S,F,T)-E(0,S,F,T),He=ip(x,A,E,S,F,T,He),Se=He-Ae+N}else He=ip(x,A,E,S,F,T,He),Se=He*a+N,Ae=He-Se;Se<1&&(Se=0),nt>=Ae/2&&(nt=0),Se<5&&(z=dp);let Lt=Se>0,bn=He-Se-(Lt?nt:0);Ae=z($h(bn,Y,H)),ve=(G==0?Ae/2:G==K?0:Ae)-G*K*((G==0?N/2:0)+(Lt?nt/2:0));let yt={stroke:null,fill:null,clip:null,band:null,gaps:null,flags:0},pn=Ve?null:new Path2D,Jt=null;if(de!=null)Jt=f.data[de.series[1]];else{let{y0:Re,y1:qe}=c;Re!=null&&qe!=null&&(A=qe.values(f,g,b,m),Jt=Re.values(f,g,b,m))}let on=W*Ae,O=ce*Ae;for(let Re=K==1?b:m;Re>=b&&Re<=m;Re+=K){let qe=A[Re];if(qe==null)continue;if(Jt!=null){let X=Jt[Re]??0;if(qe-X==0)continue;me=v(X,R,L,B)}let it=S.distr!=2||c!=null?x[Re]:Re,Me=E(it,S,F,T),Dt=v(wt(qe,ee),R,L,B),ze=z(Me-ve),Xe=z(Gn(Dt,me)),P=z(Pi(Dt,me)),y=Xe-P;if(qe!=null){let X=qe<0?O:on,he=qe<0?on:O;Ve?(nt>0&&et[Re]!=null&&Q(qt.get(et[Re]),ze,P+li(nt/2),Ae,Gn(0,y-nt),X,he),ht[Re]!=null&&Q(at.get(ht[Re]),ze,P+li(nt/2),Ae,Gn(0,y-nt),X,he)):Q(pn,ze,P+li(nt/2),Ae,Gn(0,y-nt),X,he),se(f,g,Re,ze-nt/2,P,Ae+nt,y)}}return nt>0?yt.stroke=Ve?qt:pn:Ve||(yt._fill=p.width==0?p._fill:p._stroke??p._fill,yt.width=0),yt.fill=Ve?at:pn,yt})}function vv(i,e){let t=wt(e?.alignGaps,0);return(n,s,r,a)=>er(n,s,(o,l,c,u,d,h,f,g,b,m,p)=>{[r,a]=jo(c,r,a);let x=o.pxRound,A=W=>x(h(W,u,m,g)),S=W=>x(f(W,d,p,b)),R,E,v;u.ori==0?(R=il,v=Or,E=kp):(R=sl,v=Br,E=zp);let T=u.dir*(u.ori==0?1:-1),B=A(l[T==1?r:a]),F=B,L=[],z=[];for(let W=T==1?r:a;W>=r&&W<=a;W+=T)if(c[W]!=null){let K=l[W],Q=A(K);L.push(F=Q),z.push(S(c[W]))}let G={stroke:i(L,z,R,v,E,x),fill:null,clip:null,band:null,gaps:null,flags:Fr},N=G.stroke,[H,Y]=uu(n,s);if(o.fill!=null||H!=0){let W=G.fill=new Path2D(N),ce=o.fillTo(n,s,o.min,o.max,H),K=S(ce);v(W,F,K),v(W,B,K)}if(!o.spanGaps){let W=[];W.push(...du(l,c,r,a,T,A,t)),G.gaps=W=o.gaps(n,s,r,a,W),G.clip=nl(W,u.ori,g,b,m,p)}return Y!=0&&(G.band=Y==2?[os(n,s,r,a,N,-1),os(n,s,r,a,N,1)]:os(n,s,r,a,N,Y)),G})}function xv(i){return vv(yv,i)}function yv(i,e,t,n,s,r){let a=i.length;if(a<2)return null;let o=new Path2D;if(t(o,i[0],e[0]),a==2)n(o,i[1],e[1]);else{let l=Array(a),c=Array(a-1),u=Array(a-1),d=Array(a-1);for(let h=0;h<a-1;h++)u[h]=e[h+1]-e[h],d[h]=i[h+1]-i[h],c[h]=u[h]/d[h];l[0]=c[0];for(let h=1;h<a-1;h++)c[h]===0||c[h-1]===0||c[h-1]>0!=c[h]>0?l[h]=0:(l[h]=3*(d[h-1]+d[h])/((2*d[h]+d[h-1])/c[h-1]+(d[h]+2*d[h-1])/c[h]),isFinite(l[h])||(l[h]=0));l[a-1]=c[a-2];for(let h=0;h<a-1;h++)s(o,i[h]+d[h]/3,e[h]+l[h]*d[h]/3,i[h+1]-d[h]/3,e[h+1]-l[h+1]*d[h]/3,i[h+1],e[h+1])}return o}var jh=new Set;function sp(){for(let i of jh)i.syncRect(!0)}Ur&&(js(e_,Ir,sp),js(t_,Ir,sp,!0),js(Zo,Ir,()=>{Pn.pxRatio=Et}));var bv=Hp(),Sv=Vp();function rp(i,e,t,n){return(n?[i[0],i[1]].concat(i.slice(2)):[i[0]].concat(i.slice(1))).map((r,a)=>Qh(r,a,e,t))}function Mv(i,e){return i.map((t,n)=>n==0?{}:dn({},e,t))}function Qh(i,e,t,n){return dn({},e==0?t:n,i)}function Wp(i,e,t){return e==null?Nr:[e,t]}var wv=Wp;function Tv(i,e,t){return e==null?Nr:Jo(e,t,su,!0)}function Xp(i,e,t,n){return e==null?Nr:Qo(e,t,i.scales[n].log,!1)}var Ev=Xp;function qp(i,e,t,n){return e==null?Nr:iu(e,t,i.scales[n].log,!1)}var Av=qp;function Cv(i,e,t,n,s){let r=Gn(Of(i),Of(e)),a=e-i,o=Ri(s/n*a,t);do{let l=t[o],c=n*l/a;if(c>=s&&r+(l<5?Ns.get(l):0)<=17)return[l,c]}while(++o<t.length);return[0,0]}function ap(i){let e,t;return i=i.replace(/(\d+)px/,(n,s)=>(e=gn((t=+s)*Et))+"px"),[i,e,t]}function Rv(i){i.show&&[i.font,i.labelFont].forEach(e=>{let t=Ut(e[2]*Et,1);e[0]=e[0].replace(/[0-9.]+px/,t+"px"),e[1]=t})}function Pn(i,e,t){let n={mode:wt(i.mode,1)},s=n.mode;function r(_,M,I,D){let V=M.valToPct(_);return D+I*(M.dir==-1?1-V:V)}function a(_,M,I,D){let V=M.valToPct(_);return D+I*(M.dir==-1?V:1-V)}function o(_,M,I,D){return M.ori==0?r(_,M,I,D):a(_,M,I,D)}n.valToPosH=r,n.valToPosV=a;let l=!1;n.status=0;let c=n.root=xi(U0);if(i.id!=null&&(c.id=i.id),oi(c,i.class),i.title){let _=xi(k0,c);_.textContent=i.title}let u=Ci("canvas"),d=n.ctx=u.getContext("2d"),h=xi(z0,c);js("click",h,_=>{_.target===g&&(zt!=br||Yt!=Sr)&&Rn.click(n,_)},!0);let f=n.under=xi(V0,h);h.appendChild(u);let g=n.over=xi(G0,h);i=Dr(i);let b=+wt(i.pxAlign,1),m=np(b);(i.plugins||[]).forEach(_=>{_.opts&&(i=_.opts(n,i)||i)});let p=i.ms||.001,x=n.series=s==1?rp(i.series||[],Zf,ep,!1):Mv(i.series||[null],Qf),A=n.axes=rp(i.axes||[],$f,Kf,!0),S=n.scales={},R=n.bands=i.bands||[];R.forEach(_=>{_.fill=gt(_.fill||null),_.dir=wt(_.dir,-1)});let E=s==2?x[1].facets[0].scale:x[0].scale,v={axes:ss,series:dt},T=(i.drawOrder||["axes","series"]).map(_=>v[_]);function B(_){let M=_.distr==3?I=>as(I>0?I:_.clamp(n,I,_.min,_.max,_.key)):_.distr==4?I=>zh(I,_.asinh):_.distr==100?I=>_.fwd(I):I=>I;return I=>{let D=M(I),{_min:V,_max:J}=_,oe=J-V;return(D-V)/oe}}function F(_){let M=S[_];if(M==null){let I=(i.scales||Ua)[_]||Ua;if(I.from!=null){F(I.from);let D=dn({},S[I.from],I,{key:_});D.valToPct=B(D),S[_]=D}else{M=S[_]=dn({},_==E?Dp:uv,I),M.key=_;let D=M.time,V=M.range,J=Ls(V);if((_!=E||s==2&&!D)&&(J&&(V[0]==null||V[1]==null)&&(V={min:V[0]==null?Df:{mode:1,hard:V[0],soft:V[0]},max:V[1]==null?Df:{mode:1,hard:V[1],soft:V[1]}},J=!1),!J&&tl(V))){let oe=V;V=(fe,ye,Ne)=>ye==null?Nr:Jo(ye,Ne,oe)}M.range=gt(V||(D?wv:_==E?M.distr==3?Ev:M.distr==4?Av:Wp:M.distr==3?Xp:M.distr==4?qp:Tv)),M.auto=gt(J?!1:M.auto),M.clamp=gt(M.clamp||hv),M._min=M._max=null,M.valToPct=B(M)}}}F("x"),F("y"),s==1&&x.forEach(_=>{F(_.scale)}),A.forEach(_=>{F(_.scale)});for(let _ in i.scales)F(_);let L=S[E],z=L.distr,G,N;L.ori==0?(oi(c,O0),G=r,N=a):(oi(c,B0),G=a,N=r);let H={};for(let _ in S){let M=S[_];(M.min!=null||M.max!=null)&&(H[_]={min:M.min,max:M.max},M.min=M.max=null)}let Y=i.tzDate||(_=>new Date(gn(_/p))),W=i.fmtDate||ou,ce=p==1?O_(Y):z_(Y),K=Xf(Y,Wf(p==1?U_:k_,W)),Q=Yf(Y,qf(G_,W)),se=[],de=n.legend=dn({},X_,i.legend),ue=n.cursor=dn({},K_,{drag:{y:s==2}},i.cursor),ee=de.show,me=ue.show,ve=de.markers;de.idxs=se,ve.width=gt(ve.width),ve.dash=gt(ve.dash),ve.stroke=gt(ve.stroke),ve.fill=gt(ve.fill);let Ae,Se,He,nt=[],Ve=[],ht,at=!1,et={};if(de.live){let _=x[1]?x[1].values:null;at=_!=null,ht=at?_(n,1,0):{_:0};for(let M in ht)et[M]=tu}if(ee)if(Ae=Ci("table",$0,c),He=Ci("tbody",null,Ae),de.mount(n,Ae),at){Se=Ci("thead",null,Ae,He);let _=Ci("tr",null,Se);Ci("th",null,_);for(var qt in ht)Ci("th",bf,_).textContent=qt}else oi(Ae,J0),de.live&&oi(Ae,Z0);let Ot={show:!0},an={show:!1};function Lt(_,M){if(M==0&&(at||!de.live||s==2))return Nr;let I=[],D=Ci("tr",K0,He,He.childNodes[M]);oi(D,_.class),_.show||oi(D,Ks);let V=Ci("th",null,D);if(ve.show){let fe=xi(j0,V);if(M>0){let ye=ve.width(n,M);ye&&(fe.style.border=ye+"px "+ve.dash(n,M)+" "+ve.stroke(n,M)),fe.style.background=ve.fill(n,M)}}let J=xi(bf,V);_.label instanceof HTMLElement?J.appendChild(_.label):J.textContent=_.label,M>0&&(ve.show||(J.style.color=_.width>0?ve.stroke(n,M):ve.fill(n,M)),yt("click",V,fe=>{if(ue._lock)return;Ze(fe);let ye=x.indexOf(_);if((fe.ctrlKey||fe.metaKey)!=de.isolate){let Ne=x.some((De,Ue)=>Ue>0&&Ue!=ye&&De.show);x.forEach((De,Ue)=>{Ue>0&&Gi(Ue,Ne?Ue==ye?Ot:an:Ot,!0,un.setSeries)})}else Gi(ye,{show:!_.show},!0,un.setSeries)},!1),Je&&yt(Tf,V,fe=>{ue._lock||(Ze(fe),Gi(x.indexOf(_),wr,!0,un.setSeries))},!1));for(var oe in ht){let fe=Ci("td",Q0,D);fe.textContent="--",I.push(fe)}return[D,I]}let bn=new Map;function yt(_,M,I,D=!0){let V=bn.get(M)||{},J=ue.bind[_](n,M,I,D);J&&(js(_,M,V[_]=J),bn.set(M,V))}function pn(_,M,I){let D=bn.get(M)||{};for(let V in D)(_==null||V==_)&&(Yh(V,M,D[V]),delete D[V]);_==null&&bn.delete(M)}let Jt=0,on=0,O=0,Re=0,qe=0,it=0,Me=qe,Dt=it,ze=O,Xe=Re,P=0,y=0,X=0,he=0;n.bbox={};let ae=!1,_e=!1,xe=!1,te=!1,ie=!1,pe=!1;function U(_,M,I){(I||_!=n.width||M!=n.height)&&re(_,M),ot(!1),xe=!0,_e=!0,Nn()}function re(_,M){n.width=Jt=O=_,n.height=on=Re=M,qe=it=0,be(),Ge();let I=n.bbox;P=I.left=Zs(qe*Et,.5),y=I.top=Zs(it*Et,.5),X=I.width=Zs(O*Et,.5),he=I.height=Zs(Re*Et,.5)}let ne=3;function we(){let _=!1,M=0;for(;!_;){M++;let I=vr(M),D=Vi(M);_=M==ne||I&&D,_||(re(n.width,n.height),_e=!0)}}function ge({width:_,height:M}){U(_,M)}n.setSize=ge;function be(){let _=!1,M=!1,I=!1,D=!1;A.forEach((V,J)=>{if(V.show&&V._show){let{side:oe,_size:fe}=V,ye=oe%2,Ne=V.label!=null?V.labelSize:0,De=fe+Ne;De>0&&(ye?(O-=De,oe==3?(qe+=De,D=!0):I=!0):(Re-=De,oe==0?(it+=De,_=!0):M=!0))}}),ki[0]=_,ki[1]=I,ki[2]=M,ki[3]=D,O-=Ti[1]+Ti[3],qe+=Ti[3],Re-=Ti[2]+Ti[0],it+=Ti[0]}function Ge(){let _=qe+O,M=it+Re,I=qe,D=it;function V(J,oe){switch(J){case 1:return _+=oe,_-oe;case 2:return M+=oe,M-oe;case 3:return I-=oe,I+oe;case 0:return D-=oe,D+oe}}A.forEach((J,oe)=>{if(J.show&&J._show){let fe=J.side;J._pos=V(fe,J._size),J.label!=null&&(J._lpos=V(fe,J.labelSize))}})}if(ue.dataIdx==null){let _=ue.hover,M=_.skip=new Set(_.skip??[]);M.add(void 0);let I=_.prox=gt(_.prox),D=_.bias??=0;ue.dataIdx=(V,J,oe,fe)=>{if(J==0)return oe;let ye=oe,Ne=I(V,J,oe,fe)??Ft,De=Ne>=0&&Ne<Ft,Ue=L.ori==0?O:Re,tt=ue.left,Tt=e[0],Mt=e[J];if(M.has(Mt[oe])){ye=null;let ft=null,Ye=null,We;if(D==0||D==-1)for(We=oe;ft==null&&We-- >0;)M.has(Mt[We])||(ft=We);if(D==0||D==1)for(We=oe;Ye==null&&We++<Mt.length;)M.has(Mt[We])||(Ye=We);if(ft!=null||Ye!=null)if(De){let Gt=ft==null?-1/0:G(Tt[ft],L,Ue,0),Qt=Ye==null?1/0:G(Tt[Ye],L,Ue,0),Tn=tt-Gt,Nt=Qt-tt;Tn<=Nt?Tn<=Ne&&(ye=ft):Nt<=Ne&&(ye=Ye)}else ye=Ye==null?ft:ft==null?Ye:oe-ft<=Ye-oe?ft:Ye}else De&&_n(tt-G(Tt[oe],L,Ue,0))>Ne&&(ye=null);return ye}}let Ze=_=>{ue.event=_};ue.idxs=se,ue._lock=!1;let le=ue.points;le.show=gt(le.show),le.size=gt(le.size),le.stroke=gt(le.stroke),le.width=gt(le.width),le.fill=gt(le.fill);let Oe=n.focus=dn({},i.focus||{alpha:.3},ue.focus),Je=Oe.prox>=0,Ce=Je&&le.one,rt=[],kt=[],On=[];function ba(_,M){let I=le.show(n,M);if(I instanceof HTMLElement)return oi(I,Y0),oi(I,_.class),qi(I,-10,-10,O,Re),g.insertBefore(I,rt[M]),I}function mr(_,M){if(s==1||M>0){let I=s==1&&S[_.scale].time,D=_.value;_.value=I?zf(D)?Yf(Y,qf(D,W)):D||Q:D||ov,_.label=_.label||(I?Q_:j_)}if(Ce||M>0){_.width=_.width==null?1:_.width,_.paths=_.paths||bv||u_,_.fillTo=gt(_.fillTo||dv),_.pxAlign=+wt(_.pxAlign,b),_.pxRound=np(_.pxAlign),_.stroke=gt(_.stroke||null),_.fill=gt(_.fill||null),_._stroke=_._fill=_._paths=_._focus=null;let I=lv(Gn(1,_.width),1),D=_.points=dn({},{size:I,width:Gn(1,I*.2),stroke:_.stroke,space:I*2,paths:Sv,_stroke:null,_fill:null},_.points);D.show=gt(D.show),D.filter=gt(D.filter),D.fill=gt(D.fill),D.stroke=gt(D.stroke),D.paths=gt(D.paths),D.pxAlign=_.pxAlign}if(ee){let I=Lt(_,M);nt.splice(M,0,I[0]),Ve.splice(M,0,I[1]),de.values.push(null)}if(me){se.splice(M,0,null);let I=null;Ce?M==0&&(I=ba(_,M)):M>0&&(I=ba(_,M)),rt.splice(M,0,I),kt.splice(M,0,0),On.splice(M,0,0)}wn("addSeries",M)}function Sh(_,M){M=M??x.length,_=s==1?Qh(_,M,Zf,ep):Qh(_,M,{},Qf),x.splice(M,0,_),mr(x[M],M)}n.addSeries=Sh;function Do(_){if(x.splice(_,1),ee){de.values.splice(_,1),Ve.splice(_,1);let M=nt.splice(_,1)[0];pn(null,M.firstChild),M.remove()}me&&(se.splice(_,1),rt.splice(_,1)[0].remove(),kt.splice(_,1),On.splice(_,1)),wn("delSeries",_)}n.delSeries=Do;let ki=[!1,!1,!1,!1];function ts(_,M){if(_._show=_.show,_.show){let I=_.side%2,D=S[_.scale];D==null&&(_.scale=I?x[1].scale:E,D=S[_.scale]);let V=D.time;_.size=gt(_.size),_.space=gt(_.space),_.rotate=gt(_.rotate),Ls(_.incrs)&&_.incrs.forEach(oe=>{!Ns.has(oe)&&Ns.set(oe,mp(oe))}),_.incrs=gt(_.incrs||(D.distr==2?N_:V?p==1?F_:B_:Js)),_.splits=gt(_.splits||(V&&D.distr==1?ce:D.distr==3?Zh:D.distr==4?nv:tv)),_.stroke=gt(_.stroke),_.grid.stroke=gt(_.grid.stroke),_.ticks.stroke=gt(_.ticks.stroke),_.border.stroke=gt(_.border.stroke);let J=_.values;_.values=Ls(J)&&!Ls(J[0])?gt(J):V?Ls(J)?Xf(Y,Wf(J,W)):zf(J)?V_(Y,J):J||K:J||ev,_.filter=gt(_.filter||(D.distr>=3&&D.log==10?rv:D.distr==3&&D.log==2?av:fp)),_.font=ap(_.font),_.labelFont=ap(_.labelFont),_._size=_.size(n,null,M,0),_._space=_._rotate=_._incrs=_._found=_._splits=_._values=null,_._size>0&&(ki[M]=!0,_._el=xi(H0,h))}}function ns(_,M,I,D){let[V,J,oe,fe]=I,ye=M%2,Ne=0;return ye==0&&(fe||J)&&(Ne=M==0&&!V||M==2&&!oe?gn($f.size/3):0),ye==1&&(V||oe)&&(Ne=M==1&&!J||M==3&&!fe?gn(Kf.size/2):0),Ne}let Sa=n.padding=(i.padding||[ns,ns,ns,ns]).map(_=>gt(wt(_,ns))),Ti=n._padding=Sa.map((_,M)=>_(n,M,ki,0)),Kt,nn=null,sn=null,zi=s==1?x[0].idxs:null,ni=null,ws=!1;function Ma(_,M){if(e=_??[],n.data=n._data=e,s==2){Kt=0;for(let I=1;I<x.length;I++)Kt+=e[I][0].length}else{e.length==0&&(n.data=n._data=e=[[]]),ni=e[0],Kt=ni.length;let I=e;if(z==2){I=e.slice();let D=I[0]=Array(Kt);for(let V=0;V<Kt;V++)D[V]=V}n._data=e=I}if(ot(!0),wn("setData"),z==2&&(xe=!0),M!==!1){let I=L;I.auto(n,ws)?wa():As(E,I.min,I.max),te=te||ue.left>=0,pe=!0,Nn()}}n.setData=Ma;function wa(){ws=!0;let _,M;s==1&&(Kt>0?(nn=zi[0]=0,sn=zi[1]=Kt-1,_=e[0][nn],M=e[0][sn],z==2?(_=nn,M=sn):_==M&&(z==3?[_,M]=Qo(_,_,L.log,!1):z==4?[_,M]=iu(_,_,L.log,!1):L.time?M=_+gn(86400/p):[_,M]=Jo(_,M,su,!0))):(nn=zi[0]=_=null,sn=zi[1]=M=null)),As(E,_,M)}let gr,Ts,_r,w,k,j,q,$,Te,Pe;function Ee(_,M,I,D,V,J){_??=Mf,I??=au,D??="butt",V??=Mf,J??="round",_!=gr&&(d.strokeStyle=gr=_),V!=Ts&&(d.fillStyle=Ts=V),M!=_r&&(d.lineWidth=_r=M),J!=k&&(d.lineJoin=k=J),D!=j&&(d.lineCap=j=D),I!=w&&d.setLineDash(w=I)}function Ie(_,M,I,D){M!=Ts&&(d.fillStyle=Ts=M),_!=q&&(d.font=q=_),I!=$&&(d.textAlign=$=I),D!=Te&&(d.textBaseline=Te=D)}function ke(_,M,I,D,V=0){if(D.length>0&&_.auto(n,ws)&&(M==null||M.min==null)){let J=wt(nn,0),oe=wt(sn,D.length-1),fe=I.min==null?r_(D,J,oe,V,_.distr==3):[I.min,I.max];_.min=Pi(_.min,I.min=fe[0]),_.max=Gn(_.max,I.max=fe[1])}}let Ke={min:null,max:null};function ut(){for(let D in S){let V=S[D];H[D]==null&&(V.min==null||H[E]!=null&&V.auto(n,ws))&&(H[D]=Ke)}for(let D in S){let V=S[D];H[D]==null&&V.from!=null&&H[V.from]!=null&&(H[D]=Ke)}H[E]!=null&&ot(!0);let _={};for(let D in H){let V=H[D];if(V!=null){let J=_[D]=Dr(S[D],p_);if(V.min!=null)dn(J,V);else if(D!=E||s==2)if(Kt==0&&J.from==null){let oe=J.range(n,null,null,D);J.min=oe[0],J.max=oe[1]}else J.min=Ft,J.max=-Ft}}if(Kt>0){x.forEach((D,V)=>{if(s==1){let J=D.scale,oe=H[J];if(oe==null)return;let fe=_[J];if(V==0){let ye=fe.range(n,fe.min,fe.max,J);fe.min=ye[0],fe.max=ye[1],nn=Ri(fe.min,e[0]),sn=Ri(fe.max,e[0]),sn-nn>1&&(e[0][nn]<fe.min&&nn++,e[0][sn]>fe.max&&sn--),D.min=ni[nn],D.max=ni[sn]}else D.show&&D.auto&&ke(fe,oe,D,e[V],D.sorted);D.idxs[0]=nn,D.idxs[1]=sn}else if(V>0&&D.show&&D.auto){let[J,oe]=D.facets,fe=J.scale,ye=oe.scale,[Ne,De]=e[V],Ue=_[fe],tt=_[ye];Ue!=null&&ke(Ue,H[fe],J,Ne,J.sorted),tt!=null&&ke(tt,H[ye],oe,De,oe.sorted),D.min=oe.min,D.max=oe.max}});for(let D in _){let V=_[D],J=H[D];if(V.from==null&&(J==null||J.min==null)){let oe=V.range(n,V.min==Ft?null:V.min,V.max==-Ft?null:V.max,D);V.min=oe[0],V.max=oe[1]}}}for(let D in _){let V=_[D];if(V.from!=null){let J=_[V.from];if(J.min==null)V.min=V.max=null;else{let oe=V.range(n,J.min,J.max,D);V.min=oe[0],V.max=oe[1]}}}let M={},I=!1;for(let D in _){let V=_[D],J=S[D];if(J.min!=V.min||J.max!=V.max){J.min=V.min,J.max=V.max;let oe=J.distr;J._min=oe==3?as(J.min):oe==4?zh(J.min,J.asinh):oe==100?J.fwd(J.min):J.min,J._max=oe==3?as(J.max):oe==4?zh(J.max,J.asinh):oe==100?J.fwd(J.max):J.max,M[D]=I=!0}}if(I){x.forEach((D,V)=>{s==2?V>0&&M.y&&(D._paths=null):M[D.scale]&&(D._paths=null)});for(let D in M)xe=!0,wn("setScale",D);me&&ue.left>=0&&(te=pe=!0)}for(let D in H)H[D]=null}function Be(_){let M=$h(nn-1,0,Kt-1),I=$h(sn+1,0,Kt-1);for(;_[M]==null&&M>0;)M--;for(;_[I]==null&&I<Kt-1;)I++;return[M,I]}function dt(){if(Kt>0){let _=x.some(M=>M._focus)&&Pe!=Oe.alpha;_&&(d.globalAlpha=Pe=Oe.alpha),x.forEach((M,I)=>{if(I>0&&M.show&&(Zt(I,!1),Zt(I,!0),M._paths==null)){let D=Pe;Pe!=M.alpha&&(d.globalAlpha=Pe=M.alpha);let V=s==2?[0,e[I][0].length-1]:Be(e[I]);M._paths=M.paths(n,I,V[0],V[1]),Pe!=D&&(d.globalAlpha=Pe=D)}}),x.forEach((M,I)=>{if(I>0&&M.show){let D=Pe;Pe!=M.alpha&&(d.globalAlpha=Pe=M.alpha),M._paths!=null&&Rt(I,!1);{let V=M._paths!=null?M._paths.gaps:null,J=M.points.show(n,I,nn,sn,V),oe=M.points.filter(n,I,J,V);(J||oe)&&(M.points._paths=M.points.paths(n,I,nn,sn,oe),Rt(I,!0))}Pe!=D&&(d.globalAlpha=Pe=D),wn("drawSeries",I)}}),_&&(d.globalAlpha=Pe=1)}}function Zt(_,M){let I=M?x[_].points:x[_];I._stroke=I.stroke(n,_),I._fill=I.fill(n,_)}function Rt(_,M){let I=M?x[_].points:x[_],{stroke:D,fill:V,clip:J,flags:oe,_stroke:fe=I._stroke,_fill:ye=I._fill,_width:Ne=I.width}=I._paths;Ne=Ut(Ne*Et,3);let De=null,Ue=Ne%2/2;M&&ye==null&&(ye=Ne>0?"#fff":fe);let tt=I.pxAlign==1&&Ue>0;if(tt&&d.translate(Ue,Ue),!M){let Tt=P-Ne/2,Mt=y-Ne/2,ft=X+Ne,Ye=he+Ne;De=new Path2D,De.rect(Tt,Mt,ft,Ye)}M?Fe(fe,Ne,I.dash,I.cap,ye,D,V,oe,J):Pt(_,fe,Ne,I.dash,I.cap,ye,D,V,oe,De,J),tt&&d.translate(-Ue,-Ue)}function Pt(_,M,I,D,V,J,oe,fe,ye,Ne,De){let Ue=!1;ye!=0&&R.forEach((tt,Tt)=>{if(tt.series[0]==_){let Mt=x[tt.series[1]],ft=e[tt.series[1]],Ye=(Mt._paths||Ua).band;Ls(Ye)&&(Ye=tt.dir==1?Ye[0]:Ye[1]);let We,Gt=null;Mt.show&&Ye&&o_(ft,nn,sn)?(Gt=tt.fill(n,Tt)||J,We=Mt._paths.clip):Ye=null,Fe(M,I,D,V,Gt,oe,fe,ye,Ne,De,We,Ye),Ue=!0}}),Ue||Fe(M,I,D,V,J,oe,fe,ye,Ne,De)}let mn=Fr|Kh;function Fe(_,M,I,D,V,J,oe,fe,ye,Ne,De,Ue){Ee(_,M,I,D,V),(ye||Ne||Ue)&&(d.save(),ye&&d.clip(ye),Ne&&d.clip(Ne)),Ue?(fe&mn)==mn?(d.clip(Ue),De&&d.clip(De),mt(V,oe),ln(_,J,M)):fe&Kh?(mt(V,oe),d.clip(Ue),ln(_,J,M)):fe&Fr&&(d.save(),d.clip(Ue),De&&d.clip(De),mt(V,oe),d.restore(),ln(_,J,M)):(mt(V,oe),ln(_,J,M)),(ye||Ne||Ue)&&d.restore()}function ln(_,M,I){I>0&&(M instanceof Map?M.forEach((D,V)=>{d.strokeStyle=gr=V,d.stroke(D)}):M!=null&&_&&d.stroke(M))}function mt(_,M){M instanceof Map?M.forEach((I,D)=>{d.fillStyle=Ts=D,d.fill(I)}):M!=null&&_&&d.fill(M)}function is(_,M,I,D){let V=A[_],J;if(D<=0)J=[0,0];else{let oe=V._space=V.space(n,_,M,I,D),fe=V._incrs=V.incrs(n,_,M,I,D,oe);J=Cv(M,I,fe,D,oe)}return V._found=J}function cn(_,M,I,D,V,J,oe,fe,ye,Ne){let De=oe%2/2;b==1&&d.translate(De,De),Ee(fe,oe,ye,Ne,fe),d.beginPath();let Ue,tt,Tt,Mt,ft=V+(D==0||D==3?-J:J);I==0?(tt=V,Mt=ft):(Ue=V,Tt=ft);for(let Ye=0;Ye<_.length;Ye++)M[Ye]!=null&&(I==0?Ue=Tt=_[Ye]:tt=Mt=_[Ye],d.moveTo(Ue,tt),d.lineTo(Tt,Mt));d.stroke(),b==1&&d.translate(-De,-De)}function vr(_){let M=!0;return A.forEach((I,D)=>{if(!I.show)return;let V=S[I.scale];if(V.min==null){I._show&&(M=!1,I._show=!1,ot(!1));return}else I._show||(M=!1,I._show=!0,ot(!1));let J=I.side,oe=J%2,{min:fe,max:ye}=V,[Ne,De]=is(D,fe,ye,oe==0?O:Re);if(De==0)return;let Ue=V.distr==2,tt=I._splits=I.splits(n,D,fe,ye,Ne,De,Ue),Tt=V.distr==2?tt.map(We=>ni[We]):tt,Mt=V.distr==2?ni[tt[1]]-ni[tt[0]]:Ne,ft=I._values=I.values(n,I.filter(n,Tt,D,De,Mt),D,De,Mt);I._rotate=J==2?I.rotate(n,ft,D,De):0;let Ye=I._size;I._size=yi(I.size(n,ft,D,_)),Ye!=null&&I._size!=Ye&&(M=!1)}),M}function Vi(_){let M=!0;return Sa.forEach((I,D)=>{let V=I(n,D,ki,_);V!=Ti[D]&&(M=!1),Ti[D]=V}),M}function ss(){for(let _=0;_<A.length;_++){let M=A[_];if(!M.show||!M._show)continue;let I=M.side,D=I%2,V,J,oe=M.stroke(n,_),fe=I==0||I==3?-1:1,[ye,Ne]=M._found;if(M.label!=null){let zn=M.labelGap*fe,ri=gn((M._lpos+zn)*Et);Ie(M.labelFont[0],oe,"center",I==2?"top":Sf),d.save(),D==1?(V=J=0,d.translate(ri,gn(y+he/2)),d.rotate((I==3?-$o:$o)/2)):(V=gn(P+X/2),J=ri);let $s=up(M.label)?M.label(n,_,ye,Ne):M.label;d.fillText($s,V,J),d.restore()}if(Ne==0)continue;let De=S[M.scale],Ue=D==0?X:he,tt=D==0?P:y,Tt=M._splits,Mt=De.distr==2?Tt.map(zn=>ni[zn]):Tt,ft=De.distr==2?ni[Tt[1]]-ni[Tt[0]]:ye,Ye=M.ticks,We=M.border,Gt=Ye.show?Ye.size:0,Qt=gn(Gt*Et),Tn=gn((M.alignTo==2?M._size-Gt-M.gap:M.gap)*Et),Nt=M._rotate*-$o/180,en=m(M._pos*Et),ii=(Qt+Tn)*fe,kn=en+ii;J=D==0?kn:0,V=D==1?kn:0;let mi=M.font[0],Ei=M.align==1?Rr:M.align==2?Oh:Nt>0?Rr:Nt<0?Oh:D==0?"center":I==3?Oh:Rr,Wi=Nt||D==1?"middle":I==2?"top":Sf;Ie(mi,oe,Ei,Wi);let si=M.font[1]*M.lineGap,gi=Tt.map(zn=>m(o(zn,De,Ue,tt))),Ai=M._values;for(let zn=0;zn<Ai.length;zn++){let ri=Ai[zn];if(ri!=null){D==0?V=gi[zn]:J=gi[zn],ri=""+ri;let $s=ri.indexOf(`
`)==-1?[ri]:ri.split(/\n/gm);for(let Vn=0;Vn<$s.length;Vn++){let uf=$s[Vn];Nt?(d.save(),d.translate(V,J+Vn*si),d.rotate(Nt),d.fillText(uf,0,0),d.restore()):d.fillText(uf,V,J+Vn*si)}}}Ye.show&&cn(gi,Ye.filter(n,Mt,_,Ne,ft),D,I,en,Qt,Ut(Ye.width*Et,3),Ye.stroke(n,_),Ye.dash,Ye.cap);let Xi=M.grid;Xi.show&&cn(gi,Xi.filter(n,Mt,_,Ne,ft),D,D==0?2:1,D==0?y:P,D==0?he:X,Ut(Xi.width*Et,3),Xi.stroke(n,_),Xi.dash,Xi.cap),We.show&&cn([en],[1],D==0?1:0,D==0?1:2,D==1?y:P,D==1?he:X,Ut(We.width*Et,3),We.stroke(n,_),We.dash,We.cap)}wn("drawAxes")}function ot(_){x.forEach((M,I)=>{I>0&&(M._paths=null,_&&(s==1?(M.min=null,M.max=null):M.facets.forEach(D=>{D.min=null,D.max=null})))})}let jt=!1,Bn=!1,It=[];function hn(){Bn=!1;for(let _=0;_<It.length;_++)wn(...It[_]);It.length=0}function Nn(){jt||(b_(qd),jt=!0)}function Fo(_,M=!1){jt=!0,Bn=M,_(n),qd(),M&&It.length>0&&queueMicrotask(hn)}n.batch=Fo;function qd(){if(ae&&(ut(),ae=!1),xe&&(we(),xe=!1),_e){if(Ht(f,Rr,qe),Ht(f,"top",it),Ht(f,La,O),Ht(f,Na,Re),Ht(g,Rr,qe),Ht(g,"top",it),Ht(g,La,O),Ht(g,Na,Re),Ht(h,La,Jt),Ht(h,Na,on),u.width=gn(Jt*Et),u.height=gn(on*Et),A.forEach(({_el:_,_show:M,_size:I,_pos:D,side:V})=>{if(_!=null)if(M){let J=V===3||V===0?I:0,oe=V%2==1;Ht(_,oe?"left":"top",D-J),Ht(_,oe?"width":"height",I),Ht(_,oe?"top":"left",oe?it:qe),Ht(_,oe?"height":"width",oe?Re:O),qh(_,Ks)}else oi(_,Ks)}),gr=Ts=_r=k=j=q=$=Te=w=null,Pe=1,Aa(!0),qe!=Me||it!=Dt||O!=ze||Re!=Xe){ot(!1);let _=O/ze,M=Re/Xe;if(me&&!te&&ue.left>=0){ue.left*=_,ue.top*=M,xr&&qi(xr,gn(ue.left),0,O,Re),yr&&qi(yr,0,gn(ue.top),O,Re);for(let I=0;I<rt.length;I++){let D=rt[I];D!=null&&(kt[I]*=_,On[I]*=M,qi(D,yi(kt[I]),yi(On[I]),O,Re))}}if(Vt.show&&!ie&&Vt.left>=0&&Vt.width>0){Vt.left*=_,Vt.width*=_,Vt.top*=M,Vt.height*=M;for(let I in Ch)Ht(Mr,I,Vt[I])}Me=qe,Dt=it,ze=O,Xe=Re}wn("setSize"),_e=!1}Jt>0&&on>0&&(d.clearRect(0,0,u.width,u.height),wn("drawClear"),T.forEach(_=>_()),wn("draw")),Vt.show&&ie&&(Uo(Vt),ie=!1),me&&te&&(Ys(null,!0,!1),te=!1),de.show&&de.live&&pe&&(Eh(),pe=!1),l||(l=!0,n.status=1,wn("ready")),ws=!1,jt=!1}n.redraw=(_,M)=>{xe=M||!1,_!==!1?As(E,L.min,L.max):Nn()};function Mh(_,M){let I=S[_];if(I.from==null){if(Kt==0){let D=I.range(n,M.min,M.max,_);M.min=D[0],M.max=D[1]}if(M.min>M.max){let D=M.min;M.min=M.max,M.max=D}if(Kt>1&&M.min!=null&&M.max!=null&&M.max-M.min<1e-16)return;_==E&&I.distr==2&&Kt>0&&(M.min=Ri(M.min,e[0]),M.max=Ri(M.max,e[0]),M.min==M.max&&M.max++),H[_]=M,ae=!0,Nn()}}n.setScale=Mh;let wh,Th,xr,yr,Yd,$d,br,Sr,Zd,Jd,zt,Yt,Es=!1,Rn=ue.drag,Sn=Rn.x,Mn=Rn.y;me&&(ue.x&&(wh=xi(X0,g)),ue.y&&(Th=xi(q0,g)),L.ori==0?(xr=wh,yr=Th):(xr=Th,yr=wh),zt=ue.left,Yt=ue.top);let Vt=n.select=dn({show:!0,over:!0,left:0,width:0,top:0,height:0},i.select),Mr=Vt.show?xi(W0,Vt.over?g:f):null;function Uo(_,M){if(Vt.show){for(let I in _)Vt[I]=_[I],I in Ch&&Ht(Mr,I,_[I]);M!==!1&&wn("setSelect")}}n.setSelect=Uo;function p0(_){if(x[_].show)ee&&qh(nt[_],Ks);else if(ee&&oi(nt[_],Ks),me){let I=Ce?rt[0]:rt[_];I!=null&&qi(I,-10,-10,O,Re)}}function As(_,M,I){Mh(_,{min:M,max:I})}function Gi(_,M,I,D){M.focus!=null&&x0(_),M.show!=null&&x.forEach((V,J)=>{J>0&&(_==J||_==null)&&(V.show=M.show,p0(J),s==2?(As(V.facets[0].scale,null,null),As(V.facets[1].scale,null,null)):As(V.scale,null,null),Nn())}),I!==!1&&wn("setSeries",_,M),D&&Ca("setSeries",n,_,M)}n.setSeries=Gi;function m0(_,M){dn(R[_],M)}function g0(_,M){_.fill=gt(_.fill||null),_.dir=wt(_.dir,-1),M=M??R.length,R.splice(M,0,_)}function _0(_){_==null?R.length=0:R.splice(_,1)}n.addBand=g0,n.setBand=m0,n.delBand=_0;function v0(_,M){x[_].alpha=M,me&&rt[_]!=null&&(rt[_].style.opacity=M),ee&&nt[_]&&(nt[_].style.opacity=M)}let rs,Cs,qs,wr={focus:!0};function x0(_){if(_!=qs){let M=_==null,I=Oe.alpha!=1;x.forEach((D,V)=>{if(s==1||V>0){let J=M||V==0||V==_;D._focus=M?null:J,I&&v0(V,J?1:Oe.alpha)}}),qs=_,I&&Nn()}}ee&&Je&&yt(Ef,Ae,_=>{ue._lock||(Ze(_),qs!=null&&Gi(null,wr,!0,un.setSeries))});function Hi(_,M,I){let D=S[M];I&&(_=_/Et-(D.ori==1?it:qe));let V=O;D.ori==1&&(V=Re,_=V-_),D.dir==-1&&(_=V-_);let J=D._min,oe=D._max,fe=_/V,ye=J+(oe-J)*fe,Ne=D.distr;return Ne==3?Lr(10,ye):Ne==4?c_(ye,D.asinh):Ne==100?D.bwd(ye):ye}function y0(_,M){let I=Hi(_,E,M);return Ri(I,e[0],nn,sn)}n.valToIdx=_=>Ri(_,e[0]),n.posToIdx=y0,n.posToVal=Hi,n.valToPos=(_,M,I)=>S[M].ori==0?r(_,S[M],I?X:O,I?P:0):a(_,S[M],I?he:Re,I?y:0),n.setCursor=(_,M,I)=>{zt=_.left,Yt=_.top,Ys(null,M,I)};function Kd(_,M){Ht(Mr,Rr,Vt.left=_),Ht(Mr,La,Vt.width=M)}function jd(_,M){Ht(Mr,"top",Vt.top=_),Ht(Mr,Na,Vt.height=M)}let Ta=L.ori==0?Kd:jd,Ea=L.ori==1?Kd:jd;function b0(){if(ee&&de.live)for(let _=s==2?1:0;_<x.length;_++){if(_==0&&at)continue;let M=de.values[_],I=0;for(let D in M)Ve[_][I++].firstChild.nodeValue=M[D]}}function Eh(_,M){if(_!=null&&(_.idxs?_.idxs.forEach((I,D)=>{se[D]=I}):f_(_.idx)||se.fill(_.idx),de.idx=se[0]),ee&&de.live){for(let I=0;I<x.length;I++)(I>0||s==1&&!at)&&S0(I,se[I]);b0()}pe=!1,M!==!1&&wn("setLegend")}n.setLegend=Eh;function S0(_,M){let I=x[_],D=_==0&&z==2?ni:e[_],V;at?V=I.values(n,_,M)??et:(V=I.value(n,M==null?null:D[M],_,M),V=V==null?et:{_:V}),de.values[_]=V}function Ys(_,M,I){Zd=zt,Jd=Yt,[zt,Yt]=ue.move(n,zt,Yt),ue.left=zt,ue.top=Yt,me&&(xr&&qi(xr,gn(zt),0,O,Re),yr&&qi(yr,0,gn(Yt),O,Re));let D,V=nn>sn;rs=Ft,Cs=null;let J=L.ori==0?O:Re,oe=L.ori==1?O:Re;if(zt<0||Kt==0||V){D=ue.idx=null;for(let fe=0;fe<x.length;fe++){let ye=rt[fe];ye!=null&&qi(ye,-10,-10,O,Re)}Je&&Gi(null,wr,!0,_==null&&un.setSeries),de.live&&(se.fill(D),pe=!0)}else{let fe,ye,Ne;s==1&&(fe=L.ori==0?zt:Yt,ye=Hi(fe,E),D=ue.idx=Ri(ye,e[0],nn,sn),Ne=G(e[0][D],L,J,0));let De=-10,Ue=-10,tt=0,Tt=0,Mt=!0,ft="",Ye="";for(let We=s==2?1:0;We<x.length;We++){let Gt=x[We],Qt=se[We],Tn=Qt==null?null:s==1?e[We][Qt]:e[We][1][Qt],Nt=ue.dataIdx(n,We,D,ye),en=Nt==null?null:s==1?e[We][Nt]:e[We][1][Nt];if(pe=pe||en!=Tn||Nt!=Qt,se[We]=Nt,We>0&&Gt.show){let ii=Nt==null?-10:Nt==D?Ne:G(s==1?e[0][Nt]:e[We][0][Nt],L,J,0),kn=en==null?-10:N(en,s==1?S[Gt.scale]:S[Gt.facets[1].scale],oe,0);if(Je&&en!=null){let mi=L.ori==1?zt:Yt,Ei=_n(Oe.dist(n,We,Nt,kn,mi));if(Ei<rs){let Wi=Oe.bias;if(Wi!=0){let si=Hi(mi,Gt.scale),gi=en>=0?1:-1,Ai=si>=0?1:-1;Ai==gi&&(Ai==1?Wi==1?en>=si:en<=si:Wi==1?en<=si:en>=si)&&(rs=Ei,Cs=We)}else rs=Ei,Cs=We}}if(pe||Ce){let mi,Ei;L.ori==0?(mi=ii,Ei=kn):(mi=kn,Ei=ii);let Wi,si,gi,Ai,Xi,zn,ri=!0,$s=le.bbox;if($s!=null){ri=!1;let Vn=$s(n,We);gi=Vn.left,Ai=Vn.top,Wi=Vn.width,si=Vn.height}else gi=mi,Ai=Ei,Wi=si=le.size(n,We);if(zn=le.fill(n,We),Xi=le.stroke(n,We),Ce)We==Cs&&rs<=Oe.prox&&(De=gi,Ue=Ai,tt=Wi,Tt=si,Mt=ri,ft=zn,Ye=Xi);else{let Vn=rt[We];Vn!=null&&(kt[We]=gi,On[We]=Ai,Nf(Vn,Wi,si,ri),If(Vn,zn,Xi),qi(Vn,yi(gi),yi(Ai),O,Re))}}}}if(Ce){let We=Oe.prox,Gt=qs==null?rs<=We:rs>We||Cs!=qs;if(pe||Gt){let Qt=rt[0];Qt!=null&&(kt[0]=De,On[0]=Ue,Nf(Qt,tt,Tt,Mt),If(Qt,ft,Ye),qi(Qt,yi(De),yi(Ue),O,Re))}}}if(Vt.show&&Es)if(_!=null){let[fe,ye]=un.scales,[Ne,De]=un.match,[Ue,tt]=_.cursor.sync.scales,Tt=_.cursor.drag;if(Sn=Tt._x,Mn=Tt._y,Sn||Mn){let{left:Mt,top:ft,width:Ye,height:We}=_.select,Gt=_.scales[Ue].ori,Qt=_.posToVal,Tn,Nt,en,ii,kn,mi=fe!=null&&Ne(fe,Ue),Ei=ye!=null&&De(ye,tt);mi&&Sn?(Gt==0?(Tn=Mt,Nt=Ye):(Tn=ft,Nt=We),en=S[fe],ii=G(Qt(Tn,Ue),en,J,0),kn=G(Qt(Tn+Nt,Ue),en,J,0),Ta(Pi(ii,kn),_n(kn-ii))):Ta(0,J),Ei&&Mn?(Gt==1?(Tn=Mt,Nt=Ye):(Tn=ft,Nt=We),en=S[ye],ii=N(Qt(Tn,tt),en,oe,0),kn=N(Qt(Tn+Nt,tt),en,oe,0),Ea(Pi(ii,kn),_n(kn-ii))):Ea(0,oe)}else Rh()}else{let fe=_n(Zd-Yd),ye=_n(Jd-$d);if(L.ori==1){let tt=fe;fe=ye,ye=tt}Sn=Rn.x&&fe>=Rn.dist,Mn=Rn.y&&ye>=Rn.dist;let Ne=Rn.uni;Ne!=null?Sn&&Mn&&(Sn=fe>=Ne,Mn=ye>=Ne,!Sn&&!Mn&&(ye>fe?Mn=!0:Sn=!0)):Rn.x&&Rn.y&&(Sn||Mn)&&(Sn=Mn=!0);let De,Ue;Sn&&(L.ori==0?(De=br,Ue=zt):(De=Sr,Ue=Yt),Ta(Pi(De,Ue),_n(Ue-De)),Mn||Ea(0,oe)),Mn&&(L.ori==1?(De=br,Ue=zt):(De=Sr,Ue=Yt),Ea(Pi(De,Ue),_n(Ue-De)),Sn||Ta(0,J)),!Sn&&!Mn&&(Ta(0,0),Ea(0,0))}if(Rn._x=Sn,Rn._y=Mn,_==null){if(I){if(hf!=null){let[fe,ye]=un.scales;un.values[0]=fe!=null?Hi(L.ori==0?zt:Yt,fe):null,un.values[1]=ye!=null?Hi(L.ori==1?zt:Yt,ye):null}Ca(Bh,n,zt,Yt,O,Re,D)}if(Je){let fe=I&&un.setSeries,ye=Oe.prox;qs==null?rs<=ye&&Gi(Cs,wr,!0,fe):rs>ye?Gi(null,wr,!0,fe):Cs!=qs&&Gi(Cs,wr,!0,fe)}}pe&&(de.idx=D,Eh()),M!==!1&&wn("setCursor")}let Rs=null;Object.defineProperty(n,"rect",{get(){return Rs==null&&Aa(!1),Rs}});function Aa(_=!1){_?Rs=null:(Rs=g.getBoundingClientRect(),wn("syncRect",Rs))}function Qd(_,M,I,D,V,J,oe){ue._lock||Es&&_!=null&&_.movementX==0&&_.movementY==0||(Ah(_,M,I,D,V,J,oe,!1,_!=null),_!=null?Ys(null,!0,!0):Ys(M,!0,!1))}function Ah(_,M,I,D,V,J,oe,fe,ye){if(Rs==null&&Aa(!1),Ze(_),_!=null)I=_.clientX-Rs.left,D=_.clientY-Rs.top;else{if(I<0||D<0){zt=-10,Yt=-10;return}let[Ne,De]=un.scales,Ue=M.cursor.sync,[tt,Tt]=Ue.values,[Mt,ft]=Ue.scales,[Ye,We]=un.match,Gt=M.axes[0].side%2==1,Qt=L.ori==0?O:Re,Tn=L.ori==1?O:Re,Nt=Gt?J:V,en=Gt?V:J,ii=Gt?D:I,kn=Gt?I:D;if(Mt!=null?I=Ye(Ne,Mt)?o(tt,S[Ne],Qt,0):-10:I=Qt*(ii/Nt),ft!=null?D=We(De,ft)?o(Tt,S[De],Tn,0):-10:D=Tn*(kn/en),L.ori==1){let mi=I;I=D,D=mi}}ye&&(M==null||M.cursor.event.type==Bh)&&((I<=1||I>=O-1)&&(I=Zs(I,O)),(D<=1||D>=Re-1)&&(D=Zs(D,Re))),fe?(Yd=I,$d=D,[br,Sr]=ue.move(n,I,D)):(zt=I,Yt=D)}let Ch={width:0,height:0,left:0,top:0};function Rh(){Uo(Ch,!1)}let ef,tf,nf,sf;function rf(_,M,I,D,V,J,oe){Es=!0,Sn=Mn=Rn._x=Rn._y=!1,Ah(_,M,I,D,V,J,oe,!0,!1),_!=null&&(yt(kh,Wh,af,!1),Ca(wf,n,br,Sr,O,Re,null));let{left:fe,top:ye,width:Ne,height:De}=Vt;ef=fe,tf=ye,nf=Ne,sf=De}function af(_,M,I,D,V,J,oe){Es=Rn._x=Rn._y=!1,Ah(_,M,I,D,V,J,oe,!1,!0);let{left:fe,top:ye,width:Ne,height:De}=Vt,Ue=Ne>0||De>0,tt=ef!=fe||tf!=ye||nf!=Ne||sf!=De;if(Ue&&tt&&Uo(Vt),Rn.setScale&&Ue&&tt){let Tt=fe,Mt=Ne,ft=ye,Ye=De;if(L.ori==1&&(Tt=ye,Mt=De,ft=fe,Ye=Ne),Sn&&As(E,Hi(Tt,E),Hi(Tt+Mt,E)),Mn)for(let We in S){let Gt=S[We];We!=E&&Gt.from==null&&Gt.min!=Ft&&As(We,Hi(ft+Ye,We),Hi(ft,We))}Rh()}else ue.lock&&(ue._lock=!ue._lock,Ys(M,!0,_!=null));_!=null&&(pn(kh,Wh),Ca(kh,n,zt,Yt,O,Re,null))}function M0(_,M,I,D,V,J,oe){if(ue._lock)return;Ze(_);let fe=Es;if(Es){let ye=!0,Ne=!0,De=10,Ue,tt;L.ori==0?(Ue=Sn,tt=Mn):(Ue=Mn,tt=Sn),Ue&&tt&&(ye=zt<=De||zt>=O-De,Ne=Yt<=De||Yt>=Re-De),Ue&&ye&&(zt=zt<br?0:O),tt&&Ne&&(Yt=Yt<Sr?0:Re),Ys(null,!0,!0),Es=!1}zt=-10,Yt=-10,se.fill(null),Ys(null,!0,!0),fe&&(Es=fe)}function of(_,M,I,D,V,J,oe){ue._lock||(Ze(_),wa(),Rh(),_!=null&&Ca(Af,n,zt,Yt,O,Re,null))}function lf(){A.forEach(Rv),U(n.width,n.height,!0)}js(Zo,Ir,lf);let Tr={};Tr.mousedown=rf,Tr.mousemove=Qd,Tr.mouseup=af,Tr.dblclick=of,Tr.setSeries=(_,M,I,D)=>{let V=un.match[2];I=V(n,M,I),I!=-1&&Gi(I,D,!0,!1)},me&&(yt(wf,g,rf),yt(Bh,g,Qd),yt(Tf,g,_=>{Ze(_),Aa(!1)}),yt(Ef,g,M0),yt(Af,g,of),jh.add(n),n.syncRect=Aa);let Oo=n.hooks=i.hooks||{};function wn(_,M,I){Bn?It.push([_,M,I]):_ in Oo&&Oo[_].forEach(D=>{D.call(null,n,M,I)})}(i.plugins||[]).forEach(_=>{for(let M in _.hooks)Oo[M]=(Oo[M]||[]).concat(_.hooks[M])});let cf=(_,M,I)=>I,un=dn({key:null,setSeries:!1,filters:{pub:Bf,sub:Bf},scales:[E,x[1]?x[1].scale:null],match:[kf,kf,cf],values:[null,null]},ue.sync);un.match.length==2&&un.match.push(cf),ue.sync=un;let hf=un.key,Ph=Fp(hf);function Ca(_,M,I,D,V,J,oe){un.filters.pub(_,M,I,D,V,J,oe)&&Ph.pub(_,M,I,D,V,J,oe)}Ph.sub(n);function w0(_,M,I,D,V,J,oe){un.filters.sub(_,M,I,D,V,J,oe)&&Tr[_](null,M,I,D,V,J,oe)}n.pub=w0;function T0(){Ph.unsub(n),jh.delete(n),bn.clear(),Yh(Zo,Ir,lf),c.remove(),Ae?.remove(),wn("destroy")}n.destroy=T0;function Ih(){wn("init",i,e),Ma(e||i.data,!1),H[E]?Mh(E,H[E]):wa(),ie=Vt.show&&(Vt.width>0||Vt.height>0),te=pe=!0,U(i.width,i.height)}return x.forEach(mr),A.forEach(ts),t?t instanceof HTMLElement?(t.appendChild(c),Ih()):t(n,Ih):Ih(),n}Pn.assign=dn;Pn.fmtNum=ru;Pn.rangeNum=Jo;Pn.rangeLog=Qo;Pn.rangeAsinh=iu;Pn.orient=er;Pn.pxRatio=Et;Pn.join=y_;Pn.fmtDate=ou,Pn.tzDate=I_;Pn.sync=Fp;{Pn.addGap=fv,Pn.clipGaps=nl;let i=Pn.paths={points:Vp};i.linear=Hp,i.stepped=gv,i.bars=_v,i.spline=xv}var Pv=/[\u202a-\u202e\u2066-\u2069]/g;function Ii(i){return i.replace(Pv,e=>`\\u${e.charCodeAt(0).toString(16)}`)}function C(i,e={},...t){let n=document.createElement(i);for(let[s,r]of Object.entries(e))r===!0?n.setAttribute(s,""):r!==!1&&r!==null&&r!==void 0&&n.setAttribute(s,s==="aria-label"||s==="title"?Ii(String(r)):String(r));for(let s of t)s&&n.append(typeof s=="string"?Ii(s):s);return n}function bt(i,e){for(let[t,n]of Object.entries(e))i.addEventListener(t,n);return i}function lt(i,e,t="",n={}){return bt(C("button",{type:"button",class:t,...n},i),{click:e})}function ls(i,e,t,n){let s=C("select",{"aria-label":i});for(let[r,a]of e)s.append(C("option",{value:r,selected:r===t},a));return bt(s,{change:()=>n(s.value)})}function Yp(i){addEventListener("keydown",e=>{let t=e.target;e.ctrlKey||e.metaKey||e.altKey||e.defaultPrevented||/^(INPUT|SELECT|TEXTAREA)$/.test(t.tagName)||t.closest("dialog, [role=slider], summary")||e.key===" "&&t.closest("button, a")||i(e)&&e.preventDefault()})}function In(i,e,t){let n=document.activeElement,s=n instanceof HTMLElement&&i.contains(n),r=s?n.dataset.key:void 0;if(i.replaceChildren(...e.filter(o=>!!o)),!s)return;(r!==void 0&&i.querySelector(`[data-key="${CSS.escape(r)}"]`)||t)?.focus({preventScroll:!0})}function Wt(i){return al(i instanceof Error?i.message:String(i))}function al(i){return/^[a-z]+[ ,]/.test(i)?i.charAt(0).toUpperCase()+i.slice(1):i}function _t(i,e){return C("p",{class:`notice ${i}`,role:i==="error"?"alert":"status"},al(e))}function cs(i,e){let t=0;return()=>{clearTimeout(t),t=window.setTimeout(e,i)}}function ol(i){return i instanceof DOMException&&i.name==="AbortError"}var ll=i=>`${Math.round(100*i)} %`,$n=i=>`${i.toFixed(1)} s`;var cl=class{constructor(e,t,n){this.time=e;this.axis=t;this.jump=n;new ResizeObserver(()=>this.fit()).observe(this.element),Is(()=>this.draw())}time;axis;jump;element=C("div",{class:"curve"});plot=null;data=[[],[]];marks=[];now=0;show(e,t,n=[]){this.data=[e,t],this.marks=n,this.draw()}at(e){this.now=e,this.plot?.redraw(!1,!1)}fit(){let e=this.element.clientWidth;this.plot&&e&&this.plot.setSize({width:e,height:170})}draw(){if(this.plot?.destroy(),this.plot=null,!this.data[0].length)return;let e=En(),t=s=>({label:s,stroke:e.faint,font:"12px system-ui, sans-serif",labelFont:"12px system-ui, sans-serif",labelSize:18,size:38,grid:{stroke:e.line,width:1},ticks:{stroke:e.line,width:1}}),n=getComputedStyle(document.documentElement).getPropertyValue("--accent").trim();this.plot=new Pn({width:this.element.clientWidth||600,height:170,legend:{show:!1},cursor:{y:!1,drag:{x:!1,y:!1},points:{show:!1}},scales:{x:{time:!1},y:{range:(s,r,a)=>[0,a*1.08||1]}},axes:[t(this.time),t(this.axis)],series:[{},{stroke:n,width:2,fill:`${n}22`,points:{show:!1}}],hooks:{draw:[s=>this.lines(s)]}},this.data,this.element),this.plot.over.addEventListener("click",s=>{this.plot&&this.jump(this.plot.posToVal(s.offsetX,"x"))})}lines(e){let{ctx:t,bbox:n}=e,s=(r,a,o,l)=>{let c=e.valToPos(r,"x",!0);t.save(),t.strokeStyle=a,t.lineWidth=o*devicePixelRatio,t.setLineDash(l.map(u=>u*devicePixelRatio)),t.beginPath(),t.moveTo(c,n.top),t.lineTo(c,n.top+n.height),t.stroke(),t.restore()};for(let r of this.marks)s(r,En().right,1.5,[4,3]);s(this.now,En().text,2,[])}};var bm=0,Wu=1,Sm=2;var go=1,Mm=2,ha=3,Ws=0,qn=1,Ki=2,cr=0,ua=1,Xu=2,qu=3,Yu=4,wm=5;var hr=100,Tm=101,Em=102,Am=103,Cm=104,Rm=200,Pm=201,Im=202,Lm=203,$u=204,Zu=205,Nm=206,Dm=207,Fm=208,Um=209,Om=210,Bm=211,km=212,zm=213,Vm=214,Dl=0,Fl=1,Ul=2,ta=3,Ol=4,Bl=5,kl=6,zl=7,uc=0,Gm=1,Hm=2,ji=0,Ju=1,Ku=2,ju=3,Qu=4,ed=5,td=6,nd=7;var id=300,ur=301,da=302,dc=303,fc=304,Vl=1e3,$i=1001,Gl=1002,Cn=1003,Wm=1004;var _o=1005;var Xn=1006,pc=1007;var bs=1008;var Qn=1009,sd=1010,rd=1011,fa=1012,mc=1013,Ui=1014,wi=1015,Oi=1016,gc=1017,_c=1018,dr=1020,ad=35902,od=35899,ld=1021,cd=1022,Bi=1023,gs=1026,Ss=1027,vc=1028,xc=1029,Xs=1030,yc=1031;var bc=1033,vo=33776,xo=33777,yo=33778,bo=33779,Sc=35840,Mc=35841,wc=35842,Tc=35843,Ec=36196,Ac=37492,Cc=37496,Rc=37488,Pc=37489,So=37490,Ic=37491,Lc=37808,Nc=37809,Dc=37810,Fc=37811,Uc=37812,Oc=37813,Bc=37814,kc=37815,zc=37816,Vc=37817,Gc=37818,Hc=37819,Wc=37820,Xc=37821,qc=36492,Yc=36494,$c=36495,Zc=36283,Jc=36284,Mo=36285,Kc=36286;var Xa=2300,Hl=2301,Nl=2302,Uu=2303,Ou=2400,Bu=2401,ku=2402;var Xm=3200;var jc=0,qm=1,Ms="",di="srgb",qa="srgb-linear",Ya="linear",Ct="srgb";var Qr=7680,hd=7681;var ud=517;var Ym=519,$m=512,Zm=513,Jm=514,dd=515,Km=516,jm=517,fd=518,pd=519,Qm=35044;var md="300 es",Si=2e3,na=2001;function Iv(i){for(let e=i.length-1;e>=0;--e)if(i[e]>=65535)return!0;return!1}function Lv(i){return ArrayBuffer.isView(i)&&!(i instanceof DataView)}function $a(i){return document.createElementNS("http://www.w3.org/1999/xhtml",i)}function eg(){let i=$a("canvas");return i.style.display="block",i}var $p={},ia=null;function gd(...i){let e="THREE."+i.shift();ia?ia("log",e,...i):console.log(e,...i)}function tg(i){let e=i[0];if(typeof e=="string"&&e.startsWith("TSL:")){let t=i[1];t&&t.isStackTrace?i[0]+=" "+t.getLocation():i[1]='Stack trace not available. Enable "THREE.Node.captureStackTrace" to capture stack traces.'}return i}function $e(...i){i=tg(i);let e="THREE."+i.shift();if(ia)ia("warn",e,...i);else{let t=i[0];t&&t.isStackTrace?console.warn(t.getError(e)):console.warn(e,...i)}}function je(...i){i=tg(i);let e="THREE."+i.shift();if(ia)ia("error",e,...i);else{let t=i[0];t&&t.isStackTrace?console.error(t.getError(e)):console.error(e,...i)}}function Wa(...i){let e=i.join(" ");e in $p||($p[e]=!0,$e(...i))}function ng(i,e,t){return new Promise(function(n,s){function r(){switch(i.clientWaitSync(e,i.SYNC_FLUSH_COMMANDS_BIT,0)){case i.WAIT_FAILED:s();break;case i.TIMEOUT_EXPIRED:setTimeout(r,t);break;default:n()}}setTimeout(r,t)})}var ig={[Dl]:Dl,[Ul]:kl,[Ol]:Ol,[ta]:Bl,[Fl]:Fl,[kl]:Ul,[zl]:zl,[Bl]:ta},Zi=class{addEventListener(e,t){this._listeners===void 0&&(this._listeners={});let n=this._listeners;n[e]===void 0&&(n[e]=[]),n[e].indexOf(t)===-1&&n[e].push(t)}hasEventListener(e,t){let n=this._listeners;return n===void 0?!1:n[e]!==void 0&&n[e].indexOf(t)!==-1}removeEventListener(e,t){let n=this._listeners;if(n===void 0)return;let s=n[e];if(s!==void 0){let r=s.indexOf(t);r!==-1&&s.splice(r,1)}}dispatchEvent(e){let t=this._listeners;if(t===void 0)return;let n=t[e.type];if(n!==void 0){e.target=this;let s=n.slice(0);for(let r=0,a=s.length;r<a;r++)s[r].call(this,e);e.target=null}}},Dn=["00","01","02","03","04","05","06","07","08","09","0a","0b","0c","0d","0e","0f","10","11","12","13","14","15","16","17","18","19","1a","1b","1c","1d","1e","1f","20","21","22","23","24","25","26","27","28","29","2a","2b","2c","2d","2e","2f","30","31","32","33","34","35","36","37","38","39","3a","3b","3c","3d","3e","3f","40","41","42","43","44","45","46","47","48","49","4a","4b","4c","4d","4e","4f","50","51","52","53","54","55","56","57","58","59","5a","5b","5c","5d","5e","5f","60","61","62","63","64","65","66","67","68","69","6a","6b","6c","6d","6e","6f","70","71","72","73","74","75","76","77","78","79","7a","7b","7c","7d","7e","7f","80","81","82","83","84","85","86","87","88","89","8a","8b","8c","8d","8e","8f","90","91","92","93","94","95","96","97","98","99","9a","9b","9c","9d","9e","9f","a0","a1","a2","a3","a4","a5","a6","a7","a8","a9","aa","ab","ac","ad","ae","af","b0","b1","b2","b3","b4","b5","b6","b7","b8","b9","ba","bb","bc","bd","be","bf","c0","c1","c2","c3","c4","c5","c6","c7","c8","c9","ca","cb","cc","cd","ce","cf","d0","d1","d2","d3","d4","d5","d6","d7","d8","d9","da","db","dc","dd","de","df","e0","e1","e2","e3","e4","e5","e6","e7","e8","e9","ea","eb","ec","ed","ee","ef","f0","f1","f2","f3","f4","f5","f6","f7","f8","f9","fa","fb","fc","fd","fe","ff"];var pu=Math.PI/180,Wl=180/Math.PI;function wo(){let i=Math.random()*4294967295|0,e=Math.random()*4294967295|0,t=Math.random()*4294967295|0,n=Math.random()*4294967295|0;return(Dn[i&255]+Dn[i>>8&255]+Dn[i>>16&255]+Dn[i>>24&255]+"-"+Dn[e&255]+Dn[e>>8&255]+"-"+Dn[e>>16&15|64]+Dn[e>>24&255]+"-"+Dn[t&63|128]+Dn[t>>8&255]+"-"+Dn[t>>16&255]+Dn[t>>24&255]+Dn[n&255]+Dn[n>>8&255]+Dn[n>>16&255]+Dn[n>>24&255]).toLowerCase()}function xt(i,e,t){return Math.max(e,Math.min(t,i))}function Nv(i,e){return(i%e+e)%e}function mu(i,e,t){return(1-t)*i+t*e}function sg(i){return Math.pow(2,Math.floor(Math.log(i)/Math.LN2))}function _d(i){switch(i.constructor){case Uint32Array:return 4294967295;case Uint16Array:return 65535;case Uint8Array:case Uint8ClampedArray:return 255;case Int32Array:return 2147483647;case Int16Array:return 32767;case Int8Array:return 127;default:return}}function Dv(i,e){if(e.constructor===Float32Array)return i;let t=_d(e);if(t===void 0)throw new Error("THREE.MathUtils: Invalid component type.");return Math.max(i/t,-1)}function Fv(i,e){if(e.constructor===Float32Array)return i;let t=_d(e);if(t===void 0)throw new Error("THREE.MathUtils: Invalid component type.");return Math.round(i*t)}var pt=class{static{this.prototype.isVector2=!0}constructor(e=0,t=0){this.x=e,this.y=t}get width(){return this.x}set width(e){this.x=e}get height(){return this.y}set height(e){this.y=e}set(e,t){return this.x=e,this.y=t,this}setScalar(e){return this.x=e,this.y=e,this}setX(e){return this.x=e,this}setY(e){return this.y=e,this}setComponent(e,t){switch(e){case 0:this.x=t;break;case 1:this.y=t;break;default:throw new Error("THREE.Vector2: index is out of range: "+e)}return this}getComponent(e){switch(e){case 0:return this.x;case 1:return this.y;default:throw new Error("THREE.Vector2: index is out of range: "+e)}}clone(){return new this.constructor(this.x,this.y)}copy(e){return this.x=e.x,this.y=e.y,this}add(e){return this.x+=e.x,this.y+=e.y,this}addScalar(e){return this.x+=e,this.y+=e,this}addVectors(e,t){return this.x=e.x+t.x,this.y=e.y+t.y,this}addScaledVector(e,t){return this.x+=e.x*t,this.y+=e.y*t,this}sub(e){return this.x-=e.x,this.y-=e.y,this}subScalar(e){return this.x-=e,this.y-=e,this}subVectors(e,t){return this.x=e.x-t.x,this.y=e.y-t.y,this}multiply(e){return this.x*=e.x,this.y*=e.y,this}multiplyScalar(e){return this.x*=e,this.y*=e,this}divide(e){return this.x/=e.x,this.y/=e.y,this}divideScalar(e){return this.multiplyScalar(1/e)}applyMatrix3(e){let t=this.x,n=this.y,s=e.elements;return this.x=s[0]*t+s[3]*n+s[6],this.y=s[1]*t+s[4]*n+s[7],this}min(e){return this.x=Math.min(this.x,e.x),this.y=Math.min(this.y,e.y),this}max(e){return this.x=Math.max(this.x,e.x),this.y=Math.max(this.y,e.y),this}clamp(e,t){return this.x=xt(this.x,e.x,t.x),this.y=xt(this.y,e.y,t.y),this}clampScalar(e,t){return this.x=xt(this.x,e,t),this.y=xt(this.y,e,t),this}clampLength(e,t){let n=this.length();return this.divideScalar(n||1).multiplyScalar(xt(n,e,t))}floor(){return this.x=Math.floor(this.x),this.y=Math.floor(this.y),this}ceil(){return this.x=Math.ceil(this.x),this.y=Math.ceil(this.y),this}round(){return this.x=Math.round(this.x),this.y=Math.round(this.y),this}roundToZero(){return this.x=Math.trunc(this.x),this.y=Math.trunc(this.y),this}negate(){return this.x=-this.x,this.y=-this.y,this}dot(e){return this.x*e.x+this.y*e.y}cross(e){return this.x*e.y-this.y*e.x}lengthSq(){return this.x*this.x+this.y*this.y}length(){return Math.sqrt(this.x*this.x+this.y*this.y)}manhattanLength(){return Math.abs(this.x)+Math.abs(this.y)}normalize(){return this.divideScalar(this.length()||1)}angle(){return Math.atan2(-this.y,-this.x)+Math.PI}angleTo(e){let t=Math.sqrt(this.lengthSq()*e.lengthSq());if(t===0)return Math.PI/2;let n=this.dot(e)/t;return Math.acos(xt(n,-1,1))}distanceTo(e){return Math.sqrt(this.distanceToSquared(e))}distanceToSquared(e){let t=this.x-e.x,n=this.y-e.y;return t*t+n*n}manhattanDistanceTo(e){return Math.abs(this.x-e.x)+Math.abs(this.y-e.y)}setLength(e){return this.normalize().multiplyScalar(e)}lerp(e,t){return this.x+=(e.x-this.x)*t,this.y+=(e.y-this.y)*t,this}lerpVectors(e,t,n){return this.x=e.x+(t.x-e.x)*n,this.y=e.y+(t.y-e.y)*n,this}equals(e){return e.x===this.x&&e.y===this.y}fromArray(e,t=0){return this.x=e[t],this.y=e[t+1],this}toArray(e=[],t=0){return e[t]=this.x,e[t+1]=this.y,e}fromBufferAttribute(e,t){return this.x=e.getX(t),this.y=e.getY(t),this}rotateAround(e,t){let n=Math.cos(t),s=Math.sin(t),r=this.x-e.x,a=this.y-e.y;return this.x=r*n-a*s+e.x,this.y=r*s+a*n+e.y,this}random(){return this.x=Math.random(),this.y=Math.random(),this}*[Symbol.iterator](){yield this.x,yield this.y}},Mi=class{constructor(e=0,t=0,n=0,s=1){this.isQuaternion=!0,this._x=e,this._y=t,this._z=n,this._w=s}static slerpFlat(e,t,n,s,r,a,o){let l=n[s+0],c=n[s+1],u=n[s+2],d=n[s+3],h=r[a+0],f=r[a+1],g=r[a+2],b=r[a+3];if(d!==b||l!==h||c!==f||u!==g){let m=l*h+c*f+u*g+d*b;m<0&&(h=-h,f=-f,g=-g,b=-b,m=-m);let p=1-o;if(m<.9995){let x=Math.acos(m),A=Math.sin(x);p=Math.sin(p*x)/A,o=Math.sin(o*x)/A,l=l*p+h*o,c=c*p+f*o,u=u*p+g*o,d=d*p+b*o}else{l=l*p+h*o,c=c*p+f*o,u=u*p+g*o,d=d*p+b*o;let x=1/Math.sqrt(l*l+c*c+u*u+d*d);l*=x,c*=x,u*=x,d*=x}}e[t]=l,e[t+1]=c,e[t+2]=u,e[t+3]=d}static multiplyQuaternionsFlat(e,t,n,s,r,a){let o=n[s],l=n[s+1],c=n[s+2],u=n[s+3],d=r[a],h=r[a+1],f=r[a+2],g=r[a+3];return e[t]=o*g+u*d+l*f-c*h,e[t+1]=l*g+u*h+c*d-o*f,e[t+2]=c*g+u*f+o*h-l*d,e[t+3]=u*g-o*d-l*h-c*f,e}get x(){return this._x}set x(e){this._x=e,this._onChangeCallback()}get y(){return this._y}set y(e){this._y=e,this._onChangeCallback()}get z(){return this._z}set z(e){this._z=e,this._onChangeCallback()}get w(){return this._w}set w(e){this._w=e,this._onChangeCallback()}set(e,t,n,s){return this._x=e,this._y=t,this._z=n,this._w=s,this._onChangeCallback(),this}clone(){return new this.constructor(this._x,this._y,this._z,this._w)}copy(e){return this._x=e.x,this._y=e.y,this._z=e.z,this._w=e.w,this._onChangeCallback(),this}setFromEuler(e,t=!0){let n=e._x,s=e._y,r=e._z,a=e._order,o=Math.cos,l=Math.sin,c=o(n/2),u=o(s/2),d=o(r/2),h=l(n/2),f=l(s/2),g=l(r/2);switch(a){case"XYZ":this._x=h*u*d+c*f*g,this._y=c*f*d-h*u*g,this._z=c*u*g+h*f*d,this._w=c*u*d-h*f*g;break;case"YXZ":this._x=h*u*d+c*f*g,this._y=c*f*d-h*u*g,this._z=c*u*g-h*f*d,this._w=c*u*d+h*f*g;break;case"ZXY":this._x=h*u*d-c*f*g,this._y=c*f*d+h*u*g,this._z=c*u*g+h*f*d,this._w=c*u*d-h*f*g;break;case"ZYX":this._x=h*u*d-c*f*g,this._y=c*f*d+h*u*g,this._z=c*u*g-h*f*d,this._w=c*u*d+h*f*g;break;case"YZX":this._x=h*u*d+c*f*g,this._y=c*f*d+h*u*g,this._z=c*u*g-h*f*d,this._w=c*u*d-h*f*g;break;case"XZY":this._x=h*u*d-c*f*g,this._y=c*f*d-h*u*g,this._z=c*u*g+h*f*d,this._w=c*u*d+h*f*g;break;default:$e("Quaternion: .setFromEuler() encountered an unknown order: "+a)}return t===!0&&this._onChangeCallback(),this}setFromAxisAngle(e,t){let n=t/2,s=Math.sin(n);return this._x=e.x*s,this._y=e.y*s,this._z=e.z*s,this._w=Math.cos(n),this._onChangeCallback(),this}setFromRotationMatrix(e){let t=e.elements,n=t[0],s=t[4],r=t[8],a=t[1],o=t[5],l=t[9],c=t[2],u=t[6],d=t[10],h=n+o+d;if(h>0){let f=.5/Math.sqrt(h+1);this._w=.25/f,this._x=(u-l)*f,this._y=(r-c)*f,this._z=(a-s)*f}else if(n>o&&n>d){let f=2*Math.sqrt(1+n-o-d);this._w=(u-l)/f,this._x=.25*f,this._y=(s+a)/f,this._z=(r+c)/f}else if(o>d){let f=2*Math.sqrt(1+o-n-d);this._w=(r-c)/f,this._x=(s+a)/f,this._y=.25*f,this._z=(l+u)/f}else{let f=2*Math.sqrt(1+d-n-o);this._w=(a-s)/f,this._x=(r+c)/f,this._y=(l+u)/f,this._z=.25*f}return this._onChangeCallback(),this}setFromUnitVectors(e,t){let n=e.dot(t)+1;return n<1e-8?(n=0,Math.abs(e.x)>Math.abs(e.z)?(this._x=-e.y,this._y=e.x,this._z=0,this._w=n):(this._x=0,this._y=-e.z,this._z=e.y,this._w=n)):(this._x=e.y*t.z-e.z*t.y,this._y=e.z*t.x-e.x*t.z,this._z=e.x*t.y-e.y*t.x,this._w=n),this.normalize()}angleTo(e){return 2*Math.acos(Math.abs(xt(this.dot(e),-1,1)))}rotateTowards(e,t){let n=this.angleTo(e);if(n===0)return this;let s=Math.min(1,t/n);return this.slerp(e,s),this}identity(){return this.set(0,0,0,1)}invert(){return this.conjugate()}conjugate(){return this._x*=-1,this._y*=-1,this._z*=-1,this._onChangeCallback(),this}dot(e){return this._x*e._x+this._y*e._y+this._z*e._z+this._w*e._w}lengthSq(){return this._x*this._x+this._y*this._y+this._z*this._z+this._w*this._w}length(){return Math.sqrt(this._x*this._x+this._y*this._y+this._z*this._z+this._w*this._w)}normalize(){let e=this.length();return e===0?(this._x=0,this._y=0,this._z=0,this._w=1):(e=1/e,this._x=this._x*e,this._y=this._y*e,this._z=this._z*e,this._w=this._w*e),this._onChangeCallback(),this}multiply(e){return this.multiplyQuaternions(this,e)}premultiply(e){return this.multiplyQuaternions(e,this)}multiplyQuaternions(e,t){let n=e._x,s=e._y,r=e._z,a=e._w,o=t._x,l=t._y,c=t._z,u=t._w;return this._x=n*u+a*o+s*c-r*l,this._y=s*u+a*l+r*o-n*c,this._z=r*u+a*c+n*l-s*o,this._w=a*u-n*o-s*l-r*c,this._onChangeCallback(),this}slerp(e,t){let n=e._x,s=e._y,r=e._z,a=e._w,o=this.dot(e);o<0&&(n=-n,s=-s,r=-r,a=-a,o=-o);let l=1-t;if(o<.9995){let c=Math.acos(o),u=Math.sin(c);l=Math.sin(l*c)/u,t=Math.sin(t*c)/u,this._x=this._x*l+n*t,this._y=this._y*l+s*t,this._z=this._z*l+r*t,this._w=this._w*l+a*t,this._onChangeCallback()}else this._x=this._x*l+n*t,this._y=this._y*l+s*t,this._z=this._z*l+r*t,this._w=this._w*l+a*t,this.normalize();return this}slerpQuaternions(e,t,n){return this.copy(e).slerp(t,n)}random(){let e=2*Math.PI*Math.random(),t=2*Math.PI*Math.random(),n=Math.random(),s=Math.sqrt(1-n),r=Math.sqrt(n);return this.set(s*Math.sin(e),s*Math.cos(e),r*Math.sin(t),r*Math.cos(t))}equals(e){return e._x===this._x&&e._y===this._y&&e._z===this._z&&e._w===this._w}fromArray(e,t=0){return this._x=e[t],this._y=e[t+1],this._z=e[t+2],this._w=e[t+3],this._onChangeCallback(),this}toArray(e=[],t=0){return e[t]=this._x,e[t+1]=this._y,e[t+2]=this._z,e[t+3]=this._w,e}fromBufferAttribute(e,t){return this._x=e.getX(t),this._y=e.getY(t),this._z=e.getZ(t),this._w=e.getW(t),this._onChangeCallback(),this}toJSON(){return this.toArray()}_onChange(e){return this._onChangeCallback=e,this}_onChangeCallback(){}*[Symbol.iterator](){yield this._x,yield this._y,yield this._z,yield this._w}},Z=class{static{this.prototype.isVector3=!0}constructor(e=0,t=0,n=0){this.x=e,this.y=t,this.z=n}set(e,t,n){return n===void 0&&(n=this.z),this.x=e,this.y=t,this.z=n,this}setScalar(e){return this.x=e,this.y=e,this.z=e,this}setX(e){return this.x=e,this}setY(e){return this.y=e,this}setZ(e){return this.z=e,this}setComponent(e,t){switch(e){case 0:this.x=t;break;case 1:this.y=t;break;case 2:this.z=t;break;default:throw new Error("THREE.Vector3: index is out of range: "+e)}return this}getComponent(e){switch(e){case 0:return this.x;case 1:return this.y;case 2:return this.z;default:throw new Error("THREE.Vector3: index is out of range: "+e)}}clone(){return new this.constructor(this.x,this.y,this.z)}copy(e){return this.x=e.x,this.y=e.y,this.z=e.z,this}add(e){return this.x+=e.x,this.y+=e.y,this.z+=e.z,this}addScalar(e){return this.x+=e,this.y+=e,this.z+=e,this}addVectors(e,t){return this.x=e.x+t.x,this.y=e.y+t.y,this.z=e.z+t.z,this}addScaledVector(e,t){return this.x+=e.x*t,this.y+=e.y*t,this.z+=e.z*t,this}sub(e){return this.x-=e.x,this.y-=e.y,this.z-=e.z,this}subScalar(e){return this.x-=e,this.y-=e,this.z-=e,this}subVectors(e,t){return this.x=e.x-t.x,this.y=e.y-t.y,this.z=e.z-t.z,this}multiply(e){return this.x*=e.x,this.y*=e.y,this.z*=e.z,this}multiplyScalar(e){return this.x*=e,this.y*=e,this.z*=e,this}multiplyVectors(e,t){return this.x=e.x*t.x,this.y=e.y*t.y,this.z=e.z*t.z,this}applyEuler(e){return this.applyQuaternion(Zp.setFromEuler(e))}applyAxisAngle(e,t){return this.applyQuaternion(Zp.setFromAxisAngle(e,t))}applyMatrix3(e){let t=this.x,n=this.y,s=this.z,r=e.elements;return this.x=r[0]*t+r[3]*n+r[6]*s,this.y=r[1]*t+r[4]*n+r[7]*s,this.z=r[2]*t+r[5]*n+r[8]*s,this}applyNormalMatrix(e){return this.applyMatrix3(e).normalize()}applyMatrix4(e){let t=this.x,n=this.y,s=this.z,r=e.elements,a=1/(r[3]*t+r[7]*n+r[11]*s+r[15]);return this.x=(r[0]*t+r[4]*n+r[8]*s+r[12])*a,this.y=(r[1]*t+r[5]*n+r[9]*s+r[13])*a,this.z=(r[2]*t+r[6]*n+r[10]*s+r[14])*a,this}applyQuaternion(e){let t=this.x,n=this.y,s=this.z,r=e.x,a=e.y,o=e.z,l=e.w,c=2*(a*s-o*n),u=2*(o*t-r*s),d=2*(r*n-a*t);return this.x=t+l*c+a*d-o*u,this.y=n+l*u+o*c-r*d,this.z=s+l*d+r*u-a*c,this}project(e){return this.applyMatrix4(e.matrixWorldInverse).applyMatrix4(e.projectionMatrix)}unproject(e){return this.applyMatrix4(e.projectionMatrixInverse).applyMatrix4(e.matrixWorld)}transformDirection(e){let t=this.x,n=this.y,s=this.z,r=e.elements;return this.x=r[0]*t+r[4]*n+r[8]*s,this.y=r[1]*t+r[5]*n+r[9]*s,this.z=r[2]*t+r[6]*n+r[10]*s,this.normalize()}divide(e){return this.x/=e.x,this.y/=e.y,this.z/=e.z,this}divideScalar(e){return this.multiplyScalar(1/e)}min(e){return this.x=Math.min(this.x,e.x),this.y=Math.min(this.y,e.y),this.z=Math.min(this.z,e.z),this}max(e){return this.x=Math.max(this.x,e.x),this.y=Math.max(this.y,e.y),this.z=Math.max(this.z,e.z),this}clamp(e,t){return this.x=xt(this.x,e.x,t.x),this.y=xt(this.y,e.y,t.y),this.z=xt(this.z,e.z,t.z),this}clampScalar(e,t){return this.x=xt(this.x,e,t),this.y=xt(this.y,e,t),this.z=xt(this.z,e,t),this}clampLength(e,t){let n=this.length();return this.divideScalar(n||1).multiplyScalar(xt(n,e,t))}floor(){return this.x=Math.floor(this.x),this.y=Math.floor(this.y),this.z=Math.floor(this.z),this}ceil(){return this.x=Math.ceil(this.x),this.y=Math.ceil(this.y),this.z=Math.ceil(this.z),this}round(){return this.x=Math.round(this.x),this.y=Math.round(this.y),this.z=Math.round(this.z),this}roundToZero(){return this.x=Math.trunc(this.x),this.y=Math.trunc(this.y),this.z=Math.trunc(this.z),this}negate(){return this.x=-this.x,this.y=-this.y,this.z=-this.z,this}dot(e){return this.x*e.x+this.y*e.y+this.z*e.z}lengthSq(){return this.x*this.x+this.y*this.y+this.z*this.z}length(){return Math.sqrt(this.x*this.x+this.y*this.y+this.z*this.z)}manhattanLength(){return Math.abs(this.x)+Math.abs(this.y)+Math.abs(this.z)}normalize(){return this.divideScalar(this.length()||1)}setLength(e){return this.normalize().multiplyScalar(e)}lerp(e,t){return this.x+=(e.x-this.x)*t,this.y+=(e.y-this.y)*t,this.z+=(e.z-this.z)*t,this}lerpVectors(e,t,n){return this.x=e.x+(t.x-e.x)*n,this.y=e.y+(t.y-e.y)*n,this.z=e.z+(t.z-e.z)*n,this}cross(e){return this.crossVectors(this,e)}crossVectors(e,t){let n=e.x,s=e.y,r=e.z,a=t.x,o=t.y,l=t.z;return this.x=s*l-r*o,this.y=r*a-n*l,this.z=n*o-s*a,this}projectOnVector(e){let t=e.lengthSq();if(t===0)return this.set(0,0,0);let n=e.dot(this)/t;return this.copy(e).multiplyScalar(n)}projectOnPlane(e){return gu.copy(this).projectOnVector(e),this.sub(gu)}reflect(e){return this.sub(gu.copy(e).multiplyScalar(2*this.dot(e)))}angleTo(e){let t=Math.sqrt(this.lengthSq()*e.lengthSq());if(t===0)return Math.PI/2;let n=this.dot(e)/t;return Math.acos(xt(n,-1,1))}distanceTo(e){return Math.sqrt(this.distanceToSquared(e))}distanceToSquared(e){let t=this.x-e.x,n=this.y-e.y,s=this.z-e.z;return t*t+n*n+s*s}manhattanDistanceTo(e){return Math.abs(this.x-e.x)+Math.abs(this.y-e.y)+Math.abs(this.z-e.z)}setFromSpherical(e){return this.setFromSphericalCoords(e.radius,e.phi,e.theta)}setFromSphericalCoords(e,t,n){let s=Math.sin(t)*e;return this.x=s*Math.sin(n),this.y=Math.cos(t)*e,this.z=s*Math.cos(n),this}setFromCylindrical(e){return this.setFromCylindricalCoords(e.radius,e.theta,e.y)}setFromCylindricalCoords(e,t,n){return this.x=e*Math.sin(t),this.y=n,this.z=e*Math.cos(t),this}setFromMatrixPosition(e){let t=e.elements;return this.x=t[12],this.y=t[13],this.z=t[14],this}setFromMatrixScale(e){let t=this.setFromMatrixColumn(e,0).length(),n=this.setFromMatrixColumn(e,1).length(),s=this.setFromMatrixColumn(e,2).length();return this.x=t,this.y=n,this.z=s,this}setFromMatrixColumn(e,t){return this.fromArray(e.elements,t*4)}setFromMatrix3Column(e,t){return this.fromArray(e.elements,t*3)}setFromEuler(e){return this.x=e._x,this.y=e._y,this.z=e._z,this}setFromColor(e){return this.x=e.r,this.y=e.g,this.z=e.b,this}equals(e){return e.x===this.x&&e.y===this.y&&e.z===this.z}fromArray(e,t=0){return this.x=e[t],this.y=e[t+1],this.z=e[t+2],this}toArray(e=[],t=0){return e[t]=this.x,e[t+1]=this.y,e[t+2]=this.z,e}fromBufferAttribute(e,t){return this.x=e.getX(t),this.y=e.getY(t),this.z=e.getZ(t),this}random(){return this.x=Math.random(),this.y=Math.random(),this.z=Math.random(),this}randomDirection(){let e=Math.random()*Math.PI*2,t=Math.random()*2-1,n=Math.sqrt(1-t*t);return this.x=n*Math.cos(e),this.y=t,this.z=n*Math.sin(e),this}*[Symbol.iterator](){yield this.x,yield this.y,yield this.z}},gu=new Z,Zp=new Mi,Qe=class{static{this.prototype.isMatrix3=!0}constructor(e,t,n,s,r,a,o,l,c){this.elements=[1,0,0,0,1,0,0,0,1],e!==void 0&&this.set(e,t,n,s,r,a,o,l,c)}set(e,t,n,s,r,a,o,l,c){let u=this.elements;return u[0]=e,u[1]=s,u[2]=o,u[3]=t,u[4]=r,u[5]=l,u[6]=n,u[7]=a,u[8]=c,this}identity(){return this.set(1,0,0,0,1,0,0,0,1),this}copy(e){let t=this.elements,n=e.elements;return t[0]=n[0],t[1]=n[1],t[2]=n[2],t[3]=n[3],t[4]=n[4],t[5]=n[5],t[6]=n[6],t[7]=n[7],t[8]=n[8],this}extractBasis(e,t,n){return e.setFromMatrix3Column(this,0),t.setFromMatrix3Column(this,1),n.setFromMatrix3Column(this,2),this}setFromMatrix4(e){let t=e.elements;return this.set(t[0],t[4],t[8],t[1],t[5],t[9],t[2],t[6],t[10]),this}multiply(e){return this.multiplyMatrices(this,e)}premultiply(e){return this.multiplyMatrices(e,this)}multiplyMatrices(e,t){let n=e.elements,s=t.elements,r=this.elements,a=n[0],o=n[3],l=n[6],c=n[1],u=n[4],d=n[7],h=n[2],f=n[5],g=n[8],b=s[0],m=s[3],p=s[6],x=s[1],A=s[4],S=s[7],R=s[2],E=s[5],v=s[8];return r[0]=a*b+o*x+l*R,r[3]=a*m+o*A+l*E,r[6]=a*p+o*S+l*v,r[1]=c*b+u*x+d*R,r[4]=c*m+u*A+d*E,r[7]=c*p+u*S+d*v,r[2]=h*b+f*x+g*R,r[5]=h*m+f*A+g*E,r[8]=h*p+f*S+g*v,this}multiplyScalar(e){let t=this.elements;return t[0]*=e,t[3]*=e,t[6]*=e,t[1]*=e,t[4]*=e,t[7]*=e,t[2]*=e,t[5]*=e,t[8]*=e,this}determinant(){let e=this.elements,t=e[0],n=e[1],s=e[2],r=e[3],a=e[4],o=e[5],l=e[6],c=e[7],u=e[8];return t*a*u-t*o*c-n*r*u+n*o*l+s*r*c-s*a*l}invert(){let e=this.elements,t=e[0],n=e[1],s=e[2],r=e[3],a=e[4],o=e[5],l=e[6],c=e[7],u=e[8],d=u*a-o*c,h=o*l-u*r,f=c*r-a*l,g=t*d+n*h+s*f;if(g===0)return this.set(0,0,0,0,0,0,0,0,0);let b=1/g;return e[0]=d*b,e[1]=(s*c-u*n)*b,e[2]=(o*n-s*a)*b,e[3]=h*b,e[4]=(u*t-s*l)*b,e[5]=(s*r-o*t)*b,e[6]=f*b,e[7]=(n*l-c*t)*b,e[8]=(a*t-n*r)*b,this}transpose(){let e,t=this.elements;return e=t[1],t[1]=t[3],t[3]=e,e=t[2],t[2]=t[6],t[6]=e,e=t[5],t[5]=t[7],t[7]=e,this}getNormalMatrix(e){return this.setFromMatrix4(e).invert().transpose()}transposeIntoArray(e){let t=this.elements;return e[0]=t[0],e[1]=t[3],e[2]=t[6],e[3]=t[1],e[4]=t[4],e[5]=t[7],e[6]=t[2],e[7]=t[5],e[8]=t[8],this}setUvTransform(e,t,n,s,r,a,o){let l=Math.cos(r),c=Math.sin(r);return this.set(n*l,n*c,-n*(l*a+c*o)+a+e,-s*c,s*l,-s*(-c*a+l*o)+o+t,0,0,1),this}scale(e,t){return Wa("Matrix3: .scale() is deprecated. Use .makeScale() instead."),this.premultiply(_u.makeScale(e,t)),this}rotate(e){return Wa("Matrix3: .rotate() is deprecated. Use .makeRotation() instead."),this.premultiply(_u.makeRotation(-e)),this}translate(e,t){return Wa("Matrix3: .translate() is deprecated. Use .makeTranslation() instead."),this.premultiply(_u.makeTranslation(e,t)),this}makeTranslation(e,t){return e.isVector2?this.set(1,0,e.x,0,1,e.y,0,0,1):this.set(1,0,e,0,1,t,0,0,1),this}makeRotation(e){let t=Math.cos(e),n=Math.sin(e);return this.set(t,-n,0,n,t,0,0,0,1),this}makeScale(e,t){return this.set(e,0,0,0,t,0,0,0,1),this}equals(e){let t=this.elements,n=e.elements;for(let s=0;s<9;s++)if(t[s]!==n[s])return!1;return!0}fromArray(e,t=0){for(let n=0;n<9;n++)this.elements[n]=e[n+t];return this}toArray(e=[],t=0){let n=this.elements;return e[t]=n[0],e[t+1]=n[1],e[t+2]=n[2],e[t+3]=n[3],e[t+4]=n[4],e[t+5]=n[5],e[t+6]=n[6],e[t+7]=n[7],e[t+8]=n[8],e}clone(){return new this.constructor().fromArray(this.elements)}},_u=new Qe,Jp=new Qe().set(.4123908,.3575843,.1804808,.212639,.7151687,.0721923,.0193308,.1191948,.9505322),Kp=new Qe().set(3.2409699,-1.5373832,-.4986108,-.9692436,1.8759675,.0415551,.0556301,-.203977,1.0569715);function Uv(){let i={enabled:!0,workingColorSpace:qa,spaces:{},convert:function(s,r,a){return this.enabled===!1||r===a||!r||!a||(this.spaces[r].transfer===Ct&&(s.r=ms(s.r),s.g=ms(s.g),s.b=ms(s.b)),this.spaces[r].primaries!==this.spaces[a].primaries&&(s.applyMatrix3(this.spaces[r].toXYZ),s.applyMatrix3(this.spaces[a].fromXYZ)),this.spaces[a].transfer===Ct&&(s.r=ea(s.r),s.g=ea(s.g),s.b=ea(s.b))),s},workingToColorSpace:function(s,r){return this.convert(s,this.workingColorSpace,r)},colorSpaceToWorking:function(s,r){return this.convert(s,r,this.workingColorSpace)},getPrimaries:function(s){return this.spaces[s].primaries},getTransfer:function(s){return s===Ms?Ya:this.spaces[s].transfer},getToneMappingMode:function(s){return this.spaces[s].outputColorSpaceConfig.toneMappingMode||"standard"},getLuminanceCoefficients:function(s,r=this.workingColorSpace){return s.fromArray(this.spaces[r].luminanceCoefficients)},define:function(s){Object.assign(this.spaces,s)},_getMatrix:function(s,r,a){return s.copy(this.spaces[a].fromXYZ).multiply(this.spaces[r].toXYZ)},_getDrawingBufferColorSpace:function(s){return this.spaces[s].outputColorSpaceConfig.drawingBufferColorSpace},_getUnpackColorSpace:function(s=this.workingColorSpace){return this.spaces[s].workingColorSpaceConfig.unpackColorSpace}},e=[.64,.33,.3,.6,.15,.06],t=[.2126,.7152,.0722],n=[.3127,.329];return i.define({[qa]:{primaries:e,whitePoint:n,transfer:Ya,toXYZ:Jp,fromXYZ:Kp,luminanceCoefficients:t,workingColorSpaceConfig:{unpackColorSpace:di},outputColorSpaceConfig:{drawingBufferColorSpace:di}},[di]:{primaries:e,whitePoint:n,transfer:Ct,toXYZ:Jp,fromXYZ:Kp,luminanceCoefficients:t,outputColorSpaceConfig:{drawingBufferColorSpace:di}}}),i}var vt=Uv();function ms(i){return i<.04045?i*.0773993808:Math.pow(i*.9478672986+.0521327014,2.4)}function ea(i){return i<.0031308?i*12.92:1.055*Math.pow(i,.41666)-.055}var kr,Xl=class{static getDataURL(e,t="image/png"){if(/^data:/i.test(e.src)||typeof HTMLCanvasElement>"u")return e.src;let n;if(e instanceof HTMLCanvasElement)n=e;else{kr===void 0&&(kr=$a("canvas")),kr.width=e.width,kr.height=e.height;let s=kr.getContext("2d");e instanceof ImageData?s.putImageData(e,0,0):s.drawImage(e,0,0,e.width,e.height),n=kr}return n.toDataURL(t)}static sRGBToLinear(e){if(typeof HTMLImageElement<"u"&&e instanceof HTMLImageElement||typeof HTMLCanvasElement<"u"&&e instanceof HTMLCanvasElement||typeof ImageBitmap<"u"&&e instanceof ImageBitmap){let t=$a("canvas");t.width=e.width,t.height=e.height;let n=t.getContext("2d");n.drawImage(e,0,0,e.width,e.height);let s=n.getImageData(0,0,e.width,e.height),r=s.data;for(let a=0;a<r.length;a++)r[a]=ms(r[a]/255)*255;return n.putImageData(s,0,0),t}else if(e.data){let t=e.data.slice(0);for(let n=0;n<t.length;n++)t instanceof Uint8Array||t instanceof Uint8ClampedArray?t[n]=Math.floor(ms(t[n]/255)*255):t[n]=ms(t[n]);return{data:t,width:e.width,height:e.height}}else return $e("ImageUtils.sRGBToLinear(): Unsupported image type. No color space conversion applied."),e}},Ov=0,sa=class{constructor(e=null){this.isTextureSource=!0,Object.defineProperty(this,"id",{value:Ov++}),this.uuid=wo(),this.data=e,this.dataReady=!0,this.version=0}getSize(e){let t=this.data;return typeof HTMLVideoElement<"u"&&t instanceof HTMLVideoElement?e.set(t.videoWidth,t.videoHeight,0):typeof VideoFrame<"u"&&t instanceof VideoFrame?e.set(t.displayWidth,t.displayHeight,0):t!==null?e.set(t.width||0,t.height||0,t.depth||0):e.set(0,0,0),e}set needsUpdate(e){e===!0&&this.version++}toJSON(e){let t=e===void 0||typeof e=="string";if(!t&&e.images[this.uuid]!==void 0)return e.images[this.uuid];let n={uuid:this.uuid,url:""},s=this.data;if(s!==null){let r;if(Array.isArray(s)){r=[];for(let a=0,o=s.length;a<o;a++)s[a].isDataTexture?r.push(vu(s[a].image)):r.push(vu(s[a]))}else r=vu(s);n.url=r}return t||(e.images[this.uuid]=n),n}};function vu(i){return typeof HTMLImageElement<"u"&&i instanceof HTMLImageElement||typeof HTMLCanvasElement<"u"&&i instanceof HTMLCanvasElement||typeof ImageBitmap<"u"&&i instanceof ImageBitmap?Xl.getDataURL(i):i.data?{data:Array.from(i.data),width:i.width,height:i.height,type:i.data.constructor.name}:($e("Texture: Unable to serialize Texture."),{})}var Bv=0,xu=new Z,Zn=class i extends Zi{constructor(e=i.DEFAULT_IMAGE,t=i.DEFAULT_MAPPING,n=$i,s=$i,r=Xn,a=bs,o=Bi,l=Qn,c=i.DEFAULT_ANISOTROPY,u=Ms){super(),this.isTexture=!0,Object.defineProperty(this,"id",{value:Bv++}),this.uuid=wo(),this.name="",this.source=new sa(e),this.mipmaps=[],this.mapping=t,this.channel=0,this.wrapS=n,this.wrapT=s,this.magFilter=r,this.minFilter=a,this.anisotropy=c,this.format=o,this.internalFormat=null,this.type=l,this.offset=new pt(0,0),this.repeat=new pt(1,1),this.center=new pt(0,0),this.rotation=0,this.matrixAutoUpdate=!0,this.matrix=new Qe,this.generateMipmaps=!0,this.mipmapsAutoUpdate=!0,this.premultiplyAlpha=!1,this.flipY=!0,this.unpackAlignment=4,this.colorSpace=u,this.userData={},this.updateRanges=[],this.version=0,this.onUpdate=null,this.renderTarget=null,this.isRenderTargetTexture=!1,this.isArrayTexture=!!(e&&e.depth&&e.depth>1),this.pmremVersion=0,this.isPMREMTexture=!1,this.normalized=!1}get width(){return this.source.getSize(xu).x}get height(){return this.source.getSize(xu).y}get depth(){return this.source.getSize(xu).z}get image(){return this.source.data}set image(e){this.source.data=e}updateMatrix(){this.matrix.setUvTransform(this.offset.x,this.offset.y,this.repeat.x,this.repeat.y,this.rotation,this.center.x,this.center.y)}addUpdateRange(e,t){this.updateRanges.push({start:e,count:t})}clearUpdateRanges(){this.updateRanges.length=0}clone(){return new this.constructor().copy(this)}copy(e){return this.name=e.name,this.source=e.source,this.mipmaps=e.mipmaps.slice(0),this.mapping=e.mapping,this.channel=e.channel,this.wrapS=e.wrapS,this.wrapT=e.wrapT,this.magFilter=e.magFilter,this.minFilter=e.minFilter,this.anisotropy=e.anisotropy,this.format=e.format,this.internalFormat=e.internalFormat,this.type=e.type,this.normalized=e.normalized,this.offset.copy(e.offset),this.repeat.copy(e.repeat),this.center.copy(e.center),this.rotation=e.rotation,this.matrixAutoUpdate=e.matrixAutoUpdate,this.matrix.copy(e.matrix),this.generateMipmaps=e.generateMipmaps,this.mipmapsAutoUpdate=e.mipmapsAutoUpdate,this.premultiplyAlpha=e.premultiplyAlpha,this.flipY=e.flipY,this.unpackAlignment=e.unpackAlignment,this.colorSpace=e.colorSpace,this.renderTarget=e.renderTarget,this.isRenderTargetTexture=e.isRenderTargetTexture,this.isPMREMTexture=e.isPMREMTexture,this.isArrayTexture=e.isArrayTexture,this.userData=JSON.parse(JSON.stringify(e.userData)),this.needsUpdate=!0,this}setValues(e){for(let t in e){let n=e[t];if(n===void 0){$e(`Texture.setValues(): parameter '${t}' has value of undefined.`);continue}let s=this[t];if(s===void 0){$e(`Texture.setValues(): property '${t}' does not exist.`);continue}s&&n&&s.isVector2&&n.isVector2||s&&n&&s.isVector3&&n.isVector3||s&&n&&s.isMatrix3&&n.isMatrix3?s.copy(n):this[t]=n}}toJSON(e){let t=e===void 0||typeof e=="string";if(!t&&e.textures[this.uuid]!==void 0)return e.textures[this.uuid];let n={metadata:{version:4.7,type:"Texture",generator:"Texture.toJSON"},uuid:this.uuid,name:this.name,image:this.source.toJSON(e).uuid,mapping:this.mapping,channel:this.channel,repeat:[this.repeat.x,this.repeat.y],offset:[this.offset.x,this.offset.y],center:[this.center.x,this.center.y],rotation:this.rotation,wrap:[this.wrapS,this.wrapT],format:this.format,internalFormat:this.internalFormat,type:this.type,normalized:this.normalized,colorSpace:this.colorSpace,minFilter:this.minFilter,magFilter:this.magFilter,anisotropy:this.anisotropy,flipY:this.flipY,generateMipmaps:this.generateMipmaps,mipmapsAutoUpdate:this.mipmapsAutoUpdate,premultiplyAlpha:this.premultiplyAlpha,unpackAlignment:this.unpackAlignment};return Object.keys(this.userData).length>0&&(n.userData=this.userData),t||(e.textures[this.uuid]=n),n}dispose(){this.dispatchEvent({type:"dispose"})}transformUv(e){if(this.mapping!==id)return e;if(e.applyMatrix3(this.matrix),e.x<0||e.x>1)switch(this.wrapS){case Vl:e.x=e.x-Math.floor(e.x);break;case $i:e.x=e.x<0?0:1;break;case Gl:Math.abs(Math.floor(e.x)%2)===1?e.x=Math.ceil(e.x)-e.x:e.x=e.x-Math.floor(e.x);break}if(e.y<0||e.y>1)switch(this.wrapT){case Vl:e.y=e.y-Math.floor(e.y);break;case $i:e.y=e.y<0?0:1;break;case Gl:Math.abs(Math.floor(e.y)%2)===1?e.y=Math.ceil(e.y)-e.y:e.y=e.y-Math.floor(e.y);break}return this.flipY&&(e.y=1-e.y),e}set needsUpdate(e){e===!0&&(this.version++,this.source.needsUpdate=!0)}set needsPMREMUpdate(e){e===!0&&this.pmremVersion++}};Zn.DEFAULT_IMAGE=null;Zn.DEFAULT_MAPPING=id;Zn.DEFAULT_ANISOTROPY=1;var $t=class{static{this.prototype.isVector4=!0}constructor(e=0,t=0,n=0,s=1){this.x=e,this.y=t,this.z=n,this.w=s}get width(){return this.z}set width(e){this.z=e}get height(){return this.w}set height(e){this.w=e}set(e,t,n,s){return this.x=e,this.y=t,this.z=n,this.w=s,this}setScalar(e){return this.x=e,this.y=e,this.z=e,this.w=e,this}setX(e){return this.x=e,this}setY(e){return this.y=e,this}setZ(e){return this.z=e,this}setW(e){return this.w=e,this}setComponent(e,t){switch(e){case 0:this.x=t;break;case 1:this.y=t;break;case 2:this.z=t;break;case 3:this.w=t;break;default:throw new Error("THREE.Vector4: index is out of range: "+e)}return this}getComponent(e){switch(e){case 0:return this.x;case 1:return this.y;case 2:return this.z;case 3:return this.w;default:throw new Error("THREE.Vector4: index is out of range: "+e)}}clone(){return new this.constructor(this.x,this.y,this.z,this.w)}copy(e){return this.x=e.x,this.y=e.y,this.z=e.z,this.w=e.w!==void 0?e.w:1,this}add(e){return this.x+=e.x,this.y+=e.y,this.z+=e.z,this.w+=e.w,this}addScalar(e){return this.x+=e,this.y+=e,this.z+=e,this.w+=e,this}addVectors(e,t){return this.x=e.x+t.x,this.y=e.y+t.y,this.z=e.z+t.z,this.w=e.w+t.w,this}addScaledVector(e,t){return this.x+=e.x*t,this.y+=e.y*t,this.z+=e.z*t,this.w+=e.w*t,this}sub(e){return this.x-=e.x,this.y-=e.y,this.z-=e.z,this.w-=e.w,this}subScalar(e){return this.x-=e,this.y-=e,this.z-=e,this.w-=e,this}subVectors(e,t){return this.x=e.x-t.x,this.y=e.y-t.y,this.z=e.z-t.z,this.w=e.w-t.w,this}multiply(e){return this.x*=e.x,this.y*=e.y,this.z*=e.z,this.w*=e.w,this}multiplyScalar(e){return this.x*=e,this.y*=e,this.z*=e,this.w*=e,this}applyMatrix4(e){let t=this.x,n=this.y,s=this.z,r=this.w,a=e.elements;return this.x=a[0]*t+a[4]*n+a[8]*s+a[12]*r,this.y=a[1]*t+a[5]*n+a[9]*s+a[13]*r,this.z=a[2]*t+a[6]*n+a[10]*s+a[14]*r,this.w=a[3]*t+a[7]*n+a[11]*s+a[15]*r,this}divide(e){return this.x/=e.x,this.y/=e.y,this.z/=e.z,this.w/=e.w,this}divideScalar(e){return this.multiplyScalar(1/e)}setAxisAngleFromQuaternion(e){this.w=2*Math.acos(e.w);let t=Math.sqrt(1-e.w*e.w);return t<1e-4?(this.x=1,this.y=0,this.z=0):(this.x=e.x/t,this.y=e.y/t,this.z=e.z/t),this}setAxisAngleFromRotationMatrix(e){let t,n,s,r,l=e.elements,c=l[0],u=l[4],d=l[8],h=l[1],f=l[5],g=l[9],b=l[2],m=l[6],p=l[10];if(Math.abs(u-h)<.01&&Math.abs(d-b)<.01&&Math.abs(g-m)<.01){if(Math.abs(u+h)<.1&&Math.abs(d+b)<.1&&Math.abs(g+m)<.1&&Math.abs(c+f+p-3)<.1)return this.set(1,0,0,0),this;t=Math.PI;let A=(c+1)/2,S=(f+1)/2,R=(p+1)/2,E=(u+h)/4,v=(d+b)/4,T=(g+m)/4;return A>S&&A>R?A<.01?(n=0,s=.707106781,r=.707106781):(n=Math.sqrt(A),s=E/n,r=v/n):S>R?S<.01?(n=.707106781,s=0,r=.707106781):(s=Math.sqrt(S),n=E/s,r=T/s):R<.01?(n=.707106781,s=.707106781,r=0):(r=Math.sqrt(R),n=v/r,s=T/r),this.set(n,s,r,t),this}let x=Math.sqrt((m-g)*(m-g)+(d-b)*(d-b)+(h-u)*(h-u));return Math.abs(x)<.001&&(x=1),this.x=(m-g)/x,this.y=(d-b)/x,this.z=(h-u)/x,this.w=Math.acos((c+f+p-1)/2),this}setFromMatrixPosition(e){let t=e.elements;return this.x=t[12],this.y=t[13],this.z=t[14],this.w=t[15],this}min(e){return this.x=Math.min(this.x,e.x),this.y=Math.min(this.y,e.y),this.z=Math.min(this.z,e.z),this.w=Math.min(this.w,e.w),this}max(e){return this.x=Math.max(this.x,e.x),this.y=Math.max(this.y,e.y),this.z=Math.max(this.z,e.z),this.w=Math.max(this.w,e.w),this}clamp(e,t){return this.x=xt(this.x,e.x,t.x),this.y=xt(this.y,e.y,t.y),this.z=xt(this.z,e.z,t.z),this.w=xt(this.w,e.w,t.w),this}clampScalar(e,t){return this.x=xt(this.x,e,t),this.y=xt(this.y,e,t),this.z=xt(this.z,e,t),this.w=xt(this.w,e,t),this}clampLength(e,t){let n=this.length();return this.divideScalar(n||1).multiplyScalar(xt(n,e,t))}floor(){return this.x=Math.floor(this.x),this.y=Math.floor(this.y),this.z=Math.floor(this.z),this.w=Math.floor(this.w),this}ceil(){return this.x=Math.ceil(this.x),this.y=Math.ceil(this.y),this.z=Math.ceil(this.z),this.w=Math.ceil(this.w),this}round(){return this.x=Math.round(this.x),this.y=Math.round(this.y),this.z=Math.round(this.z),this.w=Math.round(this.w),this}roundToZero(){return this.x=Math.trunc(this.x),this.y=Math.trunc(this.y),this.z=Math.trunc(this.z),this.w=Math.trunc(this.w),this}negate(){return this.x=-this.x,this.y=-this.y,this.z=-this.z,this.w=-this.w,this}dot(e){return this.x*e.x+this.y*e.y+this.z*e.z+this.w*e.w}lengthSq(){return this.x*this.x+this.y*this.y+this.z*this.z+this.w*this.w}length(){return Math.sqrt(this.x*this.x+this.y*this.y+this.z*this.z+this.w*this.w)}manhattanLength(){return Math.abs(this.x)+Math.abs(this.y)+Math.abs(this.z)+Math.abs(this.w)}normalize(){return this.divideScalar(this.length()||1)}setLength(e){return this.normalize().multiplyScalar(e)}lerp(e,t){return this.x+=(e.x-this.x)*t,this.y+=(e.y-this.y)*t,this.z+=(e.z-this.z)*t,this.w+=(e.w-this.w)*t,this}lerpVectors(e,t,n){return this.x=e.x+(t.x-e.x)*n,this.y=e.y+(t.y-e.y)*n,this.z=e.z+(t.z-e.z)*n,this.w=e.w+(t.w-e.w)*n,this}equals(e){return e.x===this.x&&e.y===this.y&&e.z===this.z&&e.w===this.w}fromArray(e,t=0){return this.x=e[t],this.y=e[t+1],this.z=e[t+2],this.w=e[t+3],this}toArray(e=[],t=0){return e[t]=this.x,e[t+1]=this.y,e[t+2]=this.z,e[t+3]=this.w,e}fromBufferAttribute(e,t){return this.x=e.getX(t),this.y=e.getY(t),this.z=e.getZ(t),this.w=e.getW(t),this}random(){return this.x=Math.random(),this.y=Math.random(),this.z=Math.random(),this.w=Math.random(),this}*[Symbol.iterator](){yield this.x,yield this.y,yield this.z,yield this.w}},ql=class extends Zi{constructor(e=1,t=1,n={}){super(),n=Object.assign({generateMipmaps:!1,internalFormat:null,minFilter:Xn,depthBuffer:!0,stencilBuffer:!1,resolveColorBuffer:!0,resolveDepthBuffer:!0,resolveStencilBuffer:!0,storeMultisampledColorBuffer:!0,storeMultisampledDepthBuffer:!0,storeMultisampledStencilBuffer:!0,depthTexture:null,samples:0,count:1,depth:1,multiview:!1,useArrayDepthTexture:!1},n),this.isRenderTarget=!0,this.width=e,this.height=t,this.depth=n.depth,this.scissor=new $t(0,0,e,t),this.scissorTest=!1,this.viewport=new $t(0,0,e,t),this.textures=[];let s=n.count;for(let r=0;r<s;r++)this.textures[r]=new Zn({width:e,height:t,depth:n.depth}),this.textures[r].isRenderTargetTexture=!0,this.textures[r].renderTarget=this;this._setTextureOptions(n),this.depthBuffer=n.depthBuffer,this.stencilBuffer=n.stencilBuffer,this.resolveColorBuffer=n.resolveColorBuffer,this.resolveDepthBuffer=n.resolveDepthBuffer,this.resolveStencilBuffer=n.resolveStencilBuffer,this.storeMultisampledColorBuffer=n.storeMultisampledColorBuffer,this.storeMultisampledDepthBuffer=n.storeMultisampledDepthBuffer,this.storeMultisampledStencilBuffer=n.storeMultisampledStencilBuffer,this._depthTexture=null,this.depthTexture=n.depthTexture,this.samples=n.samples,this.multiview=n.multiview,this.useArrayDepthTexture=n.useArrayDepthTexture}_setTextureOptions(e={}){let t={minFilter:Xn,generateMipmaps:!1,flipY:!1,internalFormat:null};e.mapping!==void 0&&(t.mapping=e.mapping),e.wrapS!==void 0&&(t.wrapS=e.wrapS),e.wrapT!==void 0&&(t.wrapT=e.wrapT),e.wrapR!==void 0&&(t.wrapR=e.wrapR),e.magFilter!==void 0&&(t.magFilter=e.magFilter),e.minFilter!==void 0&&(t.minFilter=e.minFilter),e.format!==void 0&&(t.format=e.format),e.type!==void 0&&(t.type=e.type),e.anisotropy!==void 0&&(t.anisotropy=e.anisotropy),e.colorSpace!==void 0&&(t.colorSpace=e.colorSpace),e.flipY!==void 0&&(t.flipY=e.flipY),e.generateMipmaps!==void 0&&(t.generateMipmaps=e.generateMipmaps),e.mipmapsAutoUpdate!==void 0&&(t.mipmapsAutoUpdate=e.mipmapsAutoUpdate),e.internalFormat!==void 0&&(t.internalFormat=e.internalFormat);for(let n=0;n<this.textures.length;n++)this.textures[n].setValues(t)}get texture(){return this.textures[0]}set texture(e){this.textures[0]=e}set depthTexture(e){this._depthTexture!==null&&this._depthTexture.renderTarget===this&&(this._depthTexture.renderTarget=null),e!==null&&e.renderTarget===null&&(e.renderTarget=this),this._depthTexture=e}get depthTexture(){return this._depthTexture}setSize(e,t,n=1){if(this.width!==e||this.height!==t||this.depth!==n){this.width=e,this.height=t,this.depth=n;for(let s=0,r=this.textures.length;s<r;s++)this.textures[s].image.width=e,this.textures[s].image.height=t,this.textures[s].image.depth=n,this.textures[s].isData3DTexture!==!0&&(this.textures[s].isArrayTexture=this.textures[s].image.depth>1);this.dispose()}this.viewport.set(0,0,e,t),this.scissor.set(0,0,e,t)}clone(){return new this.constructor().copy(this)}copy(e){this.width=e.width,this.height=e.height,this.depth=e.depth,this.scissor.copy(e.scissor),this.scissorTest=e.scissorTest,this.viewport.copy(e.viewport),this.textures.length=0;for(let t=0,n=e.textures.length;t<n;t++){this.textures[t]=e.textures[t].clone(),this.textures[t].isRenderTargetTexture=!0,this.textures[t].renderTarget=this;let s=Object.assign({},e.textures[t].image);this.textures[t].source=new sa(s)}if(this.depthBuffer=e.depthBuffer,this.stencilBuffer=e.stencilBuffer,this.resolveColorBuffer=e.resolveColorBuffer,this.resolveDepthBuffer=e.resolveDepthBuffer,this.resolveStencilBuffer=e.resolveStencilBuffer,this.storeMultisampledColorBuffer=e.storeMultisampledColorBuffer,this.storeMultisampledDepthBuffer=e.storeMultisampledDepthBuffer,this.storeMultisampledStencilBuffer=e.storeMultisampledStencilBuffer,e.depthTexture!==null)if(e.depthTexture.renderTarget===e){let t=e.depthTexture.clone();t.renderTarget=null,this.depthTexture=t}else this.depthTexture=e.depthTexture;else this.depthTexture=null;return this.samples=e.samples,this.multiview=e.multiview,this.useArrayDepthTexture=e.useArrayDepthTexture,this}dispose(){this.dispatchEvent({type:"dispose"})}},fi=class extends ql{constructor(e=1,t=1,n={}){super(e,t,n),this.isWebGLRenderTarget=!0}},Za=class extends Zn{constructor(e=null,t=1,n=1,s=1){super(null),this.isDataArrayTexture=!0,this.image={data:e,width:t,height:n,depth:s},this.magFilter=Cn,this.minFilter=Cn,this.wrapR=$i,this.generateMipmaps=!1,this.flipY=!1,this.unpackAlignment=1,this.layerUpdates=new Set}copy(e){return super.copy(e),this.wrapR=e.wrapR,this}addLayerUpdate(e){this.layerUpdates.add(e)}clearLayerUpdates(){this.layerUpdates.clear()}};var Yl=class extends Zn{constructor(e=null,t=1,n=1,s=1){super(null),this.isData3DTexture=!0,this.image={data:e,width:t,height:n,depth:s},this.magFilter=Cn,this.minFilter=Cn,this.wrapR=$i,this.generateMipmaps=!1,this.flipY=!1,this.unpackAlignment=1}copy(e){return super.copy(e),this.wrapR=e.wrapR,this}};var St=class i{static{this.prototype.isMatrix4=!0}constructor(e,t,n,s,r,a,o,l,c,u,d,h,f,g,b,m){this.elements=[1,0,0,0,0,1,0,0,0,0,1,0,0,0,0,1],e!==void 0&&this.set(e,t,n,s,r,a,o,l,c,u,d,h,f,g,b,m)}set(e,t,n,s,r,a,o,l,c,u,d,h,f,g,b,m){let p=this.elements;return p[0]=e,p[4]=t,p[8]=n,p[12]=s,p[1]=r,p[5]=a,p[9]=o,p[13]=l,p[2]=c,p[6]=u,p[10]=d,p[14]=h,p[3]=f,p[7]=g,p[11]=b,p[15]=m,this}identity(){return this.set(1,0,0,0,0,1,0,0,0,0,1,0,0,0,0,1),this}clone(){return new i().fromArray(this.elements)}copy(e){let t=this.elements,n=e.elements;return t[0]=n[0],t[1]=n[1],t[2]=n[2],t[3]=n[3],t[4]=n[4],t[5]=n[5],t[6]=n[6],t[7]=n[7],t[8]=n[8],t[9]=n[9],t[10]=n[10],t[11]=n[11],t[12]=n[12],t[13]=n[13],t[14]=n[14],t[15]=n[15],this}copyPosition(e){let t=this.elements,n=e.elements;return t[12]=n[12],t[13]=n[13],t[14]=n[14],this}setFromMatrix3(e){let t=e.elements;return this.set(t[0],t[3],t[6],0,t[1],t[4],t[7],0,t[2],t[5],t[8],0,0,0,0,1),this}extractBasis(e,t,n){return this.determinantAffine()===0?(e.set(1,0,0),t.set(0,1,0),n.set(0,0,1),this):(e.setFromMatrixColumn(this,0),t.setFromMatrixColumn(this,1),n.setFromMatrixColumn(this,2),this)}makeBasis(e,t,n){return this.set(e.x,t.x,n.x,0,e.y,t.y,n.y,0,e.z,t.z,n.z,0,0,0,0,1),this}extractRotation(e){if(e.determinantAffine()===0)return this.identity();let t=this.elements,n=e.elements,s=1/zr.setFromMatrixColumn(e,0).length(),r=1/zr.setFromMatrixColumn(e,1).length(),a=1/zr.setFromMatrixColumn(e,2).length();return t[0]=n[0]*s,t[1]=n[1]*s,t[2]=n[2]*s,t[3]=0,t[4]=n[4]*r,t[5]=n[5]*r,t[6]=n[6]*r,t[7]=0,t[8]=n[8]*a,t[9]=n[9]*a,t[10]=n[10]*a,t[11]=0,t[12]=0,t[13]=0,t[14]=0,t[15]=1,this}makeRotationFromEuler(e){let t=this.elements,n=e.x,s=e.y,r=e.z,a=Math.cos(n),o=Math.sin(n),l=Math.cos(s),c=Math.sin(s),u=Math.cos(r),d=Math.sin(r);if(e.order==="XYZ"){let h=a*u,f=a*d,g=o*u,b=o*d;t[0]=l*u,t[4]=-l*d,t[8]=c,t[1]=f+g*c,t[5]=h-b*c,t[9]=-o*l,t[2]=b-h*c,t[6]=g+f*c,t[10]=a*l}else if(e.order==="YXZ"){let h=l*u,f=l*d,g=c*u,b=c*d;t[0]=h+b*o,t[4]=g*o-f,t[8]=a*c,t[1]=a*d,t[5]=a*u,t[9]=-o,t[2]=f*o-g,t[6]=b+h*o,t[10]=a*l}else if(e.order==="ZXY"){let h=l*u,f=l*d,g=c*u,b=c*d;t[0]=h-b*o,t[4]=-a*d,t[8]=g+f*o,t[1]=f+g*o,t[5]=a*u,t[9]=b-h*o,t[2]=-a*c,t[6]=o,t[10]=a*l}else if(e.order==="ZYX"){let h=a*u,f=a*d,g=o*u,b=o*d;t[0]=l*u,t[4]=g*c-f,t[8]=h*c+b,t[1]=l*d,t[5]=b*c+h,t[9]=f*c-g,t[2]=-c,t[6]=o*l,t[10]=a*l}else if(e.order==="YZX"){let h=a*l,f=a*c,g=o*l,b=o*c;t[0]=l*u,t[4]=b-h*d,t[8]=g*d+f,t[1]=d,t[5]=a*u,t[9]=-o*u,t[2]=-c*u,t[6]=f*d+g,t[10]=h-b*d}else if(e.order==="XZY"){let h=a*l,f=a*c,g=o*l,b=o*c;t[0]=l*u,t[4]=-d,t[8]=c*u,t[1]=h*d+b,t[5]=a*u,t[9]=f*d-g,t[2]=g*d-f,t[6]=o*u,t[10]=b*d+h}return t[3]=0,t[7]=0,t[11]=0,t[12]=0,t[13]=0,t[14]=0,t[15]=1,this}makeRotationFromQuaternion(e){return this.compose(kv,e,zv)}lookAt(e,t,n){let s=this.elements;return hi.subVectors(e,t),hi.lengthSq()===0&&(hi.z=1),hi.normalize(),Ds.crossVectors(n,hi),Ds.lengthSq()===0&&(Math.abs(n.z)===1?hi.x+=1e-4:hi.z+=1e-4,hi.normalize(),Ds.crossVectors(n,hi)),Ds.normalize(),hl.crossVectors(hi,Ds),s[0]=Ds.x,s[4]=hl.x,s[8]=hi.x,s[1]=Ds.y,s[5]=hl.y,s[9]=hi.y,s[2]=Ds.z,s[6]=hl.z,s[10]=hi.z,this}multiply(e){return this.multiplyMatrices(this,e)}premultiply(e){return this.multiplyMatrices(e,this)}multiplyMatrices(e,t){let n=e.elements,s=t.elements,r=this.elements,a=n[0],o=n[4],l=n[8],c=n[12],u=n[1],d=n[5],h=n[9],f=n[13],g=n[2],b=n[6],m=n[10],p=n[14],x=n[3],A=n[7],S=n[11],R=n[15],E=s[0],v=s[4],T=s[8],B=s[12],F=s[1],L=s[5],z=s[9],G=s[13],N=s[2],H=s[6],Y=s[10],W=s[14],ce=s[3],K=s[7],Q=s[11],se=s[15];return r[0]=a*E+o*F+l*N+c*ce,r[4]=a*v+o*L+l*H+c*K,r[8]=a*T+o*z+l*Y+c*Q,r[12]=a*B+o*G+l*W+c*se,r[1]=u*E+d*F+h*N+f*ce,r[5]=u*v+d*L+h*H+f*K,r[9]=u*T+d*z+h*Y+f*Q,r[13]=u*B+d*G+h*W+f*se,r[2]=g*E+b*F+m*N+p*ce,r[6]=g*v+b*L+m*H+p*K,r[10]=g*T+b*z+m*Y+p*Q,r[14]=g*B+b*G+m*W+p*se,r[3]=x*E+A*F+S*N+R*ce,r[7]=x*v+A*L+S*H+R*K,r[11]=x*T+A*z+S*Y+R*Q,r[15]=x*B+A*G+S*W+R*se,this}multiplyScalar(e){let t=this.elements;return t[0]*=e,t[4]*=e,t[8]*=e,t[12]*=e,t[1]*=e,t[5]*=e,t[9]*=e,t[13]*=e,t[2]*=e,t[6]*=e,t[10]*=e,t[14]*=e,t[3]*=e,t[7]*=e,t[11]*=e,t[15]*=e,this}determinant(){let e=this.elements,t=e[0],n=e[4],s=e[8],r=e[12],a=e[1],o=e[5],l=e[9],c=e[13],u=e[2],d=e[6],h=e[10],f=e[14],g=e[3],b=e[7],m=e[11],p=e[15],x=l*f-c*h,A=o*f-c*d,S=o*h-l*d,R=a*f-c*u,E=a*h-l*u,v=a*d-o*u;return t*(b*x-m*A+p*S)-n*(g*x-m*R+p*E)+s*(g*A-b*R+p*v)-r*(g*S-b*E+m*v)}determinantAffine(){let e=this.elements,t=e[0],n=e[4],s=e[8],r=e[1],a=e[5],o=e[9],l=e[2],c=e[6],u=e[10];return t*(a*u-o*c)-n*(r*u-o*l)+s*(r*c-a*l)}transpose(){let e=this.elements,t;return t=e[1],e[1]=e[4],e[4]=t,t=e[2],e[2]=e[8],e[8]=t,t=e[6],e[6]=e[9],e[9]=t,t=e[3],e[3]=e[12],e[12]=t,t=e[7],e[7]=e[13],e[13]=t,t=e[11],e[11]=e[14],e[14]=t,this}setPosition(e,t,n){let s=this.elements;return e.isVector3?(s[12]=e.x,s[13]=e.y,s[14]=e.z):(s[12]=e,s[13]=t,s[14]=n),this}invert(){let e=this.elements,t=e[0],n=e[1],s=e[2],r=e[3],a=e[4],o=e[5],l=e[6],c=e[7],u=e[8],d=e[9],h=e[10],f=e[11],g=e[12],b=e[13],m=e[14],p=e[15],x=t*o-n*a,A=t*l-s*a,S=t*c-r*a,R=n*l-s*o,E=n*c-r*o,v=s*c-r*l,T=u*b-d*g,B=u*m-h*g,F=u*p-f*g,L=d*m-h*b,z=d*p-f*b,G=h*p-f*m,N=x*G-A*z+S*L+R*F-E*B+v*T;if(N===0)return this.set(0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0);let H=1/N;return e[0]=(o*G-l*z+c*L)*H,e[1]=(s*z-n*G-r*L)*H,e[2]=(b*v-m*E+p*R)*H,e[3]=(h*E-d*v-f*R)*H,e[4]=(l*F-a*G-c*B)*H,e[5]=(t*G-s*F+r*B)*H,e[6]=(m*S-g*v-p*A)*H,e[7]=(u*v-h*S+f*A)*H,e[8]=(a*z-o*F+c*T)*H,e[9]=(n*F-t*z-r*T)*H,e[10]=(g*E-b*S+p*x)*H,e[11]=(d*S-u*E-f*x)*H,e[12]=(o*B-a*L-l*T)*H,e[13]=(t*L-n*B+s*T)*H,e[14]=(b*A-g*R-m*x)*H,e[15]=(u*R-d*A+h*x)*H,this}scale(e){let t=this.elements,n=e.x,s=e.y,r=e.z;return t[0]*=n,t[4]*=s,t[8]*=r,t[1]*=n,t[5]*=s,t[9]*=r,t[2]*=n,t[6]*=s,t[10]*=r,t[3]*=n,t[7]*=s,t[11]*=r,this}getMaxScaleOnAxis(){let e=this.elements,t=e[0]*e[0]+e[1]*e[1]+e[2]*e[2],n=e[4]*e[4]+e[5]*e[5]+e[6]*e[6],s=e[8]*e[8]+e[9]*e[9]+e[10]*e[10];return Math.sqrt(Math.max(t,n,s))}makeTranslation(e,t,n){return e.isVector3?this.set(1,0,0,e.x,0,1,0,e.y,0,0,1,e.z,0,0,0,1):this.set(1,0,0,e,0,1,0,t,0,0,1,n,0,0,0,1),this}makeRotationX(e){let t=Math.cos(e),n=Math.sin(e);return this.set(1,0,0,0,0,t,-n,0,0,n,t,0,0,0,0,1),this}makeRotationY(e){let t=Math.cos(e),n=Math.sin(e);return this.set(t,0,n,0,0,1,0,0,-n,0,t,0,0,0,0,1),this}makeRotationZ(e){let t=Math.cos(e),n=Math.sin(e);return this.set(t,-n,0,0,n,t,0,0,0,0,1,0,0,0,0,1),this}makeRotationAxis(e,t){let n=Math.cos(t),s=Math.sin(t),r=1-n,a=e.x,o=e.y,l=e.z,c=r*a,u=r*o;return this.set(c*a+n,c*o-s*l,c*l+s*o,0,c*o+s*l,u*o+n,u*l-s*a,0,c*l-s*o,u*l+s*a,r*l*l+n,0,0,0,0,1),this}makeScale(e,t,n){return this.set(e,0,0,0,0,t,0,0,0,0,n,0,0,0,0,1),this}makeShear(e,t,n,s,r,a){return this.set(1,n,r,0,e,1,a,0,t,s,1,0,0,0,0,1),this}compose(e,t,n){let s=this.elements,r=t._x,a=t._y,o=t._z,l=t._w,c=r+r,u=a+a,d=o+o,h=r*c,f=r*u,g=r*d,b=a*u,m=a*d,p=o*d,x=l*c,A=l*u,S=l*d,R=n.x,E=n.y,v=n.z;return s[0]=(1-(b+p))*R,s[1]=(f+S)*R,s[2]=(g-A)*R,s[3]=0,s[4]=(f-S)*E,s[5]=(1-(h+p))*E,s[6]=(m+x)*E,s[7]=0,s[8]=(g+A)*v,s[9]=(m-x)*v,s[10]=(1-(h+b))*v,s[11]=0,s[12]=e.x,s[13]=e.y,s[14]=e.z,s[15]=1,this}decompose(e,t,n){let s=this.elements;e.x=s[12],e.y=s[13],e.z=s[14];let r=this.determinantAffine();if(r===0)return n.set(1,1,1),t.identity(),this;let a=zr.set(s[0],s[1],s[2]).length(),o=zr.set(s[4],s[5],s[6]).length(),l=zr.set(s[8],s[9],s[10]).length();r<0&&(a=-a),Li.copy(this);let c=1/a,u=1/o,d=1/l;return Li.elements[0]*=c,Li.elements[1]*=c,Li.elements[2]*=c,Li.elements[4]*=u,Li.elements[5]*=u,Li.elements[6]*=u,Li.elements[8]*=d,Li.elements[9]*=d,Li.elements[10]*=d,t.setFromRotationMatrix(Li),n.x=a,n.y=o,n.z=l,this}makePerspective(e,t,n,s,r,a,o=Si,l=!1){let c=this.elements,u=2*r/(t-e),d=2*r/(n-s),h=(t+e)/(t-e),f=(n+s)/(n-s),g,b;if(l)g=r/(a-r),b=a*r/(a-r);else if(o===Si)g=-(a+r)/(a-r),b=-2*a*r/(a-r);else if(o===na)g=-a/(a-r),b=-a*r/(a-r);else throw new Error("THREE.Matrix4.makePerspective(): Invalid coordinate system: "+o);return c[0]=u,c[4]=0,c[8]=h,c[12]=0,c[1]=0,c[5]=d,c[9]=f,c[13]=0,c[2]=0,c[6]=0,c[10]=g,c[14]=b,c[3]=0,c[7]=0,c[11]=-1,c[15]=0,this}makeOrthographic(e,t,n,s,r,a,o=Si,l=!1){let c=this.elements,u=2/(t-e),d=2/(n-s),h=-(t+e)/(t-e),f=-(n+s)/(n-s),g,b;if(l)g=1/(a-r),b=a/(a-r);else if(o===Si)g=-2/(a-r),b=-(a+r)/(a-r);else if(o===na)g=-1/(a-r),b=-r/(a-r);else throw new Error("THREE.Matrix4.makeOrthographic(): Invalid coordinate system: "+o);return c[0]=u,c[4]=0,c[8]=0,c[12]=h,c[1]=0,c[5]=d,c[9]=0,c[13]=f,c[2]=0,c[6]=0,c[10]=g,c[14]=b,c[3]=0,c[7]=0,c[11]=0,c[15]=1,this}equals(e){let t=this.elements,n=e.elements;for(let s=0;s<16;s++)if(t[s]!==n[s])return!1;return!0}fromArray(e,t=0){for(let n=0;n<16;n++)this.elements[n]=e[n+t];return this}toArray(e=[],t=0){let n=this.elements;return e[t]=n[0],e[t+1]=n[1],e[t+2]=n[2],e[t+3]=n[3],e[t+4]=n[4],e[t+5]=n[5],e[t+6]=n[6],e[t+7]=n[7],e[t+8]=n[8],e[t+9]=n[9],e[t+10]=n[10],e[t+11]=n[11],e[t+12]=n[12],e[t+13]=n[13],e[t+14]=n[14],e[t+15]=n[15],e}},zr=new Z,Li=new St,kv=new Z(0,0,0),zv=new Z(1,1,1),Ds=new Z,hl=new Z,hi=new Z,jp=new St,Qp=new Mi,_s=class i{constructor(e=0,t=0,n=0,s=i.DEFAULT_ORDER){this.isEuler=!0,this._x=e,this._y=t,this._z=n,this._order=s}get x(){return this._x}set x(e){this._x=e,this._onChangeCallback()}get y(){return this._y}set y(e){this._y=e,this._onChangeCallback()}get z(){return this._z}set z(e){this._z=e,this._onChangeCallback()}get order(){return this._order}set order(e){this._order=e,this._onChangeCallback()}set(e,t,n,s=this._order){return this._x=e,this._y=t,this._z=n,this._order=s,this._onChangeCallback(),this}clone(){return new this.constructor(this._x,this._y,this._z,this._order)}copy(e){return this._x=e._x,this._y=e._y,this._z=e._z,this._order=e._order,this._onChangeCallback(),this}setFromRotationMatrix(e,t=this._order,n=!0){let s=e.elements,r=s[0],a=s[4],o=s[8],l=s[1],c=s[5],u=s[9],d=s[2],h=s[6],f=s[10];switch(t){case"XYZ":this._y=Math.asin(xt(o,-1,1)),Math.abs(o)<.9999999?(this._x=Math.atan2(-u,f),this._z=Math.atan2(-a,r)):(this._x=Math.atan2(h,c),this._z=0);break;case"YXZ":this._x=Math.asin(-xt(u,-1,1)),Math.abs(u)<.9999999?(this._y=Math.atan2(o,f),this._z=Math.atan2(l,c)):(this._y=Math.atan2(-d,r),this._z=0);break;case"ZXY":this._x=Math.asin(xt(h,-1,1)),Math.abs(h)<.9999999?(this._y=Math.atan2(-d,f),this._z=Math.atan2(-a,c)):(this._y=0,this._z=Math.atan2(l,r));break;case"ZYX":this._y=Math.asin(-xt(d,-1,1)),Math.abs(d)<.9999999?(this._x=Math.atan2(h,f),this._z=Math.atan2(l,r)):(this._x=0,this._z=Math.atan2(-a,c));break;case"YZX":this._z=Math.asin(xt(l,-1,1)),Math.abs(l)<.9999999?(this._x=Math.atan2(-u,c),this._y=Math.atan2(-d,r)):(this._x=0,this._y=Math.atan2(o,f));break;case"XZY":this._z=Math.asin(-xt(a,-1,1)),Math.abs(a)<.9999999?(this._x=Math.atan2(h,c),this._y=Math.atan2(o,r)):(this._x=Math.atan2(-u,f),this._y=0);break;default:$e("Euler: .setFromRotationMatrix() encountered an unknown order: "+t)}return this._order=t,n===!0&&this._onChangeCallback(),this}setFromQuaternion(e,t,n){return jp.makeRotationFromQuaternion(e),this.setFromRotationMatrix(jp,t,n)}setFromVector3(e,t=this._order){return this.set(e.x,e.y,e.z,t)}reorder(e){return Qp.setFromEuler(this),this.setFromQuaternion(Qp,e)}equals(e){return e._x===this._x&&e._y===this._y&&e._z===this._z&&e._order===this._order}fromArray(e){return this._x=e[0],this._y=e[1],this._z=e[2],e[3]!==void 0&&(this._order=e[3]),this._onChangeCallback(),this}toArray(e=[],t=0){return e[t]=this._x,e[t+1]=this._y,e[t+2]=this._z,e[t+3]=this._order,e}_onChange(e){return this._onChangeCallback=e,this}_onChangeCallback(){}*[Symbol.iterator](){yield this._x,yield this._y,yield this._z,yield this._order}};_s.DEFAULT_ORDER="XYZ";var Ja=class{constructor(){this.mask=1}set(e){this.mask=(1<<e|0)>>>0}enable(e){this.mask|=1<<e|0}enableAll(){this.mask=-1}toggle(e){this.mask^=1<<e|0}disable(e){this.mask&=~(1<<e|0)}disableAll(){this.mask=0}test(e){return(this.mask&e.mask)!==0}isEnabled(e){return(this.mask&(1<<e|0))!==0}},Vv=0,em=new Z,Vr=new Mi,hs=new St,ul=new Z,Ba=new Z,Gv=new Z,Hv=new Mi,tm=new Z(1,0,0),nm=new Z(0,1,0),im=new Z(0,0,1),sm={type:"added"},Wv={type:"removed"},Gr={type:"childadded",child:null},yu={type:"childremoved",child:null},Ln=class i extends Zi{constructor(){super(),this.isObject3D=!0,Object.defineProperty(this,"id",{value:Vv++}),this.uuid=wo(),this.name="",this.type="Object3D",this.parent=null,this.children=[],this.up=i.DEFAULT_UP.clone();let e=new Z,t=new _s,n=new Mi,s=new Z(1,1,1);function r(){n.setFromEuler(t,!1)}function a(){t.setFromQuaternion(n,void 0,!1)}t._onChange(r),n._onChange(a),Object.defineProperties(this,{position:{configurable:!0,enumerable:!0,value:e},rotation:{configurable:!0,enumerable:!0,value:t},quaternion:{configurable:!0,enumerable:!0,value:n},scale:{configurable:!0,enumerable:!0,value:s},modelViewMatrix:{value:new St},normalMatrix:{value:new Qe}}),this.matrix=new St,this.matrixWorld=new St,this.matrixAutoUpdate=i.DEFAULT_MATRIX_AUTO_UPDATE,this.matrixWorldAutoUpdate=i.DEFAULT_MATRIX_WORLD_AUTO_UPDATE,this.matrixWorldNeedsUpdate=!1,this.layers=new Ja,this.visible=!0,this.castShadow=!1,this.receiveShadow=!1,this.frustumCulled=!0,this.renderOrder=0,this.animations=[],this.customDepthMaterial=void 0,this.customDistanceMaterial=void 0,this.static=!1,this.userData={},this.pivot=null}onBeforeShadow(){}onAfterShadow(){}onBeforeRender(){}onAfterRender(){}applyMatrix4(e){this.matrixAutoUpdate&&this.updateMatrix(),this.matrix.premultiply(e),this.matrix.decompose(this.position,this.quaternion,this.scale),this.pivot!==null&&this.position.copy(this.pivot).applyMatrix4(this.matrix).sub(this.pivot)}applyQuaternion(e){return this.quaternion.premultiply(e),this}setRotationFromAxisAngle(e,t){this.quaternion.setFromAxisAngle(e,t)}setRotationFromEuler(e){this.quaternion.setFromEuler(e,!0)}setRotationFromMatrix(e){this.quaternion.setFromRotationMatrix(e)}setRotationFromQuaternion(e){this.quaternion.copy(e)}rotateOnAxis(e,t){return Vr.setFromAxisAngle(e,t),this.quaternion.multiply(Vr),this}rotateOnWorldAxis(e,t){return Vr.setFromAxisAngle(e,t),this.quaternion.premultiply(Vr),this}rotateX(e){return this.rotateOnAxis(tm,e)}rotateY(e){return this.rotateOnAxis(nm,e)}rotateZ(e){return this.rotateOnAxis(im,e)}translateOnAxis(e,t){return em.copy(e).applyQuaternion(this.quaternion),this.position.add(em.multiplyScalar(t)),this}translateX(e){return this.translateOnAxis(tm,e)}translateY(e){return this.translateOnAxis(nm,e)}translateZ(e){return this.translateOnAxis(im,e)}localToWorld(e){return this.updateWorldMatrix(!0,!1),e.applyMatrix4(this.matrixWorld)}worldToLocal(e){return this.updateWorldMatrix(!0,!1),e.applyMatrix4(hs.copy(this.matrixWorld).invert())}lookAt(e,t,n){e.isVector3?ul.copy(e):ul.set(e,t,n);let s=this.parent;this.updateWorldMatrix(!0,!1),Ba.setFromMatrixPosition(this.matrixWorld),this.isCamera||this.isLight?hs.lookAt(Ba,ul,this.up):hs.lookAt(ul,Ba,this.up),this.quaternion.setFromRotationMatrix(hs),s&&(hs.extractRotation(s.matrixWorld),Vr.setFromRotationMatrix(hs),this.quaternion.premultiply(Vr.invert()))}add(e){if(arguments.length>1){for(let t=0;t<arguments.length;t++)this.add(arguments[t]);return this}return e===this?(je("Object3D.add: object can't be added as a child of itself.",e),this):(e&&e.isObject3D?(e.removeFromParent(),e.parent=this,this.children.push(e),e.dispatchEvent(sm),Gr.child=e,this.dispatchEvent(Gr),Gr.child=null):je("Object3D.add: object not an instance of THREE.Object3D.",e),this)}remove(e){if(arguments.length>1){for(let n=0;n<arguments.length;n++)this.remove(arguments[n]);return this}let t=this.children.indexOf(e);return t!==-1&&(e.parent=null,this.children.splice(t,1),e.dispatchEvent(Wv),yu.child=e,this.dispatchEvent(yu),yu.child=null),this}removeFromParent(){let e=this.parent;return e!==null&&e.remove(this),this}clear(){return this.remove(...this.children)}attach(e){return this.updateWorldMatrix(!0,!1),hs.copy(this.matrixWorld).invert(),e.parent!==null&&(e.parent.updateWorldMatrix(!0,!1),hs.multiply(e.parent.matrixWorld)),e.applyMatrix4(hs),e.removeFromParent(),e.parent=this,this.children.push(e),e.updateWorldMatrix(!1,!0),e.dispatchEvent(sm),Gr.child=e,this.dispatchEvent(Gr),Gr.child=null,this}getObjectById(e){return this.getObjectByProperty("id",e)}getObjectByName(e){return this.getObjectByProperty("name",e)}getObjectByProperty(e,t){if(this[e]===t)return this;for(let n=0,s=this.children.length;n<s;n++){let a=this.children[n].getObjectByProperty(e,t);if(a!==void 0)return a}}getObjectsByProperty(e,t,n=[]){this[e]===t&&n.push(this);let s=this.children;for(let r=0,a=s.length;r<a;r++)s[r].getObjectsByProperty(e,t,n);return n}getWorldPosition(e){return this.updateWorldMatrix(!0,!1),e.setFromMatrixPosition(this.matrixWorld)}getWorldQuaternion(e){return this.updateWorldMatrix(!0,!1),this.matrixWorld.decompose(Ba,e,Gv),e}getWorldScale(e){return this.updateWorldMatrix(!0,!1),this.matrixWorld.decompose(Ba,Hv,e),e}getWorldDirection(e){this.updateWorldMatrix(!0,!1);let t=this.matrixWorld.elements;return e.set(t[8],t[9],t[10]).normalize()}raycast(){}intersectsFrustum(){return!0}traverse(e){e(this);let t=this.children;for(let n=0,s=t.length;n<s;n++)t[n].traverse(e)}traverseVisible(e){if(this.visible===!1)return;e(this);let t=this.children;for(let n=0,s=t.length;n<s;n++)t[n].traverseVisible(e)}traverseAncestors(e){let t=this.parent;t!==null&&(e(t),t.traverseAncestors(e))}updateMatrix(){this.matrix.compose(this.position,this.quaternion,this.scale);let e=this.pivot;if(e!==null){let t=e.x,n=e.y,s=e.z,r=this.matrix.elements;r[12]+=t-r[0]*t-r[4]*n-r[8]*s,r[13]+=n-r[1]*t-r[5]*n-r[9]*s,r[14]+=s-r[2]*t-r[6]*n-r[10]*s}this.matrixWorldNeedsUpdate=!0}updateMatrixWorld(e){this.matrixAutoUpdate&&this.updateMatrix(),(this.matrixWorldNeedsUpdate||e)&&(this.matrixWorldAutoUpdate===!0&&(this.parent===null?this.matrixWorld.copy(this.matrix):this.matrixWorld.multiplyMatrices(this.parent.matrixWorld,this.matrix)),this.matrixWorldNeedsUpdate=!1,e=!0);let t=this.children;for(let n=0,s=t.length;n<s;n++)t[n].updateMatrixWorld(e)}updateWorldMatrix(e,t,n=!1){let s=this.parent;if(e===!0&&s!==null&&s.updateWorldMatrix(!0,!1),this.matrixAutoUpdate&&this.updateMatrix(),(this.matrixWorldNeedsUpdate||n)&&(this.matrixWorldAutoUpdate===!0&&(this.parent===null?this.matrixWorld.copy(this.matrix):this.matrixWorld.multiplyMatrices(this.parent.matrixWorld,this.matrix)),this.matrixWorldNeedsUpdate=!1,n=!0),t===!0){let r=this.children;for(let a=0,o=r.length;a<o;a++)r[a].updateWorldMatrix(!1,!0,n)}}toJSON(e){let t=e===void 0||typeof e=="string",n={};t&&(e={geometries:{},materials:{},textures:{},images:{},shapes:{},skeletons:{},animations:{},nodes:{}},n.metadata={version:4.7,type:"Object",generator:"Object3D.toJSON"});let s={};s.uuid=this.uuid,s.type=this.type,s.name=this.name,s.castShadow=this.castShadow,s.receiveShadow=this.receiveShadow,s.visible=this.visible,s.frustumCulled=this.frustumCulled,s.renderOrder=this.renderOrder,s.static=this.static,s.matrixAutoUpdate=this.matrixAutoUpdate,Object.keys(this.userData).length>0&&(s.userData=this.userData),s.layers=this.layers.mask,s.matrix=this.matrix.toArray(),s.up=this.up.toArray(),this.pivot!==null&&(s.pivot=this.pivot.toArray()),this.morphTargetDictionary!==void 0&&(s.morphTargetDictionary=Object.assign({},this.morphTargetDictionary)),this.morphTargetInfluences!==void 0&&(s.morphTargetInfluences=this.morphTargetInfluences.slice()),this.isInstancedMesh&&(s.type="InstancedMesh",s.count=this.count,s.instanceMatrix=this.instanceMatrix.toJSON(),this.instanceColor!==null&&(s.instanceColor=this.instanceColor.toJSON())),this.isBatchedMesh&&(s.type="BatchedMesh",s.perObjectFrustumCulled=this.perObjectFrustumCulled,s.sortObjects=this.sortObjects,s.drawRanges=this._drawRanges,s.reservedRanges=this._reservedRanges,s.geometryInfo=this._geometryInfo.map(o=>({...o,boundingBox:o.boundingBox?o.boundingBox.toJSON():void 0,boundingSphere:o.boundingSphere?o.boundingSphere.toJSON():void 0})),s.instanceInfo=this._instanceInfo.map(o=>({...o})),s.availableInstanceIds=this._availableInstanceIds.slice(),s.availableGeometryIds=this._availableGeometryIds.slice(),s.nextIndexStart=this._nextIndexStart,s.nextVertexStart=this._nextVertexStart,s.geometryCount=this._geometryCount,s.maxInstanceCount=this._maxInstanceCount,s.maxVertexCount=this._maxVertexCount,s.maxIndexCount=this._maxIndexCount,s.geometryInitialized=this._geometryInitialized,s.matricesTexture=this._matricesTexture.toJSON(e),s.indirectTexture=this._indirectTexture.toJSON(e),this._colorsTexture!==null&&(s.colorsTexture=this._colorsTexture.toJSON(e)),this.boundingSphere!==null&&(s.boundingSphere=this.boundingSphere.toJSON()),this.boundingBox!==null&&(s.boundingBox=this.boundingBox.toJSON()));function r(o,l){return o[l.uuid]===void 0&&(o[l.uuid]=l.toJSON(e)),l.uuid}if(this.isScene)this.background&&(this.background.isColor?s.background=this.background.toJSON():this.background.isTexture&&(s.background=this.background.toJSON(e).uuid)),this.environment&&this.environment.isTexture&&this.environment.isRenderTargetTexture!==!0&&(s.environment=this.environment.toJSON(e).uuid);else if(this.isMesh||this.isLine||this.isPoints){s.geometry=r(e.geometries,this.geometry);let o=this.geometry.parameters;if(o!==void 0&&o.shapes!==void 0){let l=o.shapes;if(Array.isArray(l))for(let c=0,u=l.length;c<u;c++){let d=l[c];r(e.shapes,d)}else r(e.shapes,l)}}if(this.isSkinnedMesh&&(s.bindMode=this.bindMode,s.bindMatrix=this.bindMatrix.toArray(),this.skeleton!==void 0&&(r(e.skeletons,this.skeleton),s.skeleton=this.skeleton.uuid)),this.material!==void 0)if(Array.isArray(this.material)){let o=[];for(let l=0,c=this.material.length;l<c;l++)o.push(r(e.materials,this.material[l]));s.material=o}else s.material=r(e.materials,this.material);if(this.children.length>0){s.children=[];for(let o=0;o<this.children.length;o++)s.children.push(this.children[o].toJSON(e).object)}if(this.animations.length>0){s.animations=[];for(let o=0;o<this.animations.length;o++){let l=this.animations[o];s.animations.push(r(e.animations,l))}}if(t){let o=a(e.geometries),l=a(e.materials),c=a(e.textures),u=a(e.images),d=a(e.shapes),h=a(e.skeletons),f=a(e.animations),g=a(e.nodes);o.length>0&&(n.geometries=o),l.length>0&&(n.materials=l),c.length>0&&(n.textures=c),u.length>0&&(n.images=u),d.length>0&&(n.shapes=d),h.length>0&&(n.skeletons=h),f.length>0&&(n.animations=f),g.length>0&&(n.nodes=g)}return n.object=s,n;function a(o){let l=[];for(let c in o){let u=o[c];delete u.metadata,l.push(u)}return l}}clone(e){return new this.constructor().copy(this,e)}copy(e,t=!0){if(this.name=e.name,this.up.copy(e.up),this.position.copy(e.position),this.rotation.order=e.rotation.order,this.quaternion.copy(e.quaternion),this.scale.copy(e.scale),this.pivot=e.pivot!==null?e.pivot.clone():null,this.matrix.copy(e.matrix),this.matrixWorld.copy(e.matrixWorld),this.matrixAutoUpdate=e.matrixAutoUpdate,this.matrixWorldAutoUpdate=e.matrixWorldAutoUpdate,this.matrixWorldNeedsUpdate=e.matrixWorldNeedsUpdate,this.layers.mask=e.layers.mask,this.visible=e.visible,this.castShadow=e.castShadow,this.receiveShadow=e.receiveShadow,this.frustumCulled=e.frustumCulled,this.renderOrder=e.renderOrder,this.static=e.static,this.animations=e.animations.slice(),this.userData=JSON.parse(JSON.stringify(e.userData)),t===!0)for(let n=0;n<e.children.length;n++){let s=e.children[n];this.add(s.clone())}return this}dispose(){this.dispatchEvent({type:"dispose"})}};Ln.DEFAULT_UP=new Z(0,1,0);Ln.DEFAULT_MATRIX_AUTO_UPDATE=!0;Ln.DEFAULT_MATRIX_WORLD_AUTO_UPDATE=!0;var rr=class extends Ln{constructor(){super(),this.isGroup=!0,this.type="Group"}},Xv={type:"move"},ra=class{constructor(){this._targetRay=null,this._grip=null,this._hand=null}getHandSpace(){return this._hand===null&&(this._hand=new rr,this._hand.matrixAutoUpdate=!1,this._hand.visible=!1,this._hand.joints={},this._hand.inputState={pinching:!1}),this._hand}getTargetRaySpace(){return this._targetRay===null&&(this._targetRay=new rr,this._targetRay.matrixAutoUpdate=!1,this._targetRay.visible=!1,this._targetRay.hasLinearVelocity=!1,this._targetRay.linearVelocity=new Z,this._targetRay.hasAngularVelocity=!1,this._targetRay.angularVelocity=new Z),this._targetRay}getGripSpace(){return this._grip===null&&(this._grip=new rr,this._grip.matrixAutoUpdate=!1,this._grip.visible=!1,this._grip.hasLinearVelocity=!1,this._grip.linearVelocity=new Z,this._grip.hasAngularVelocity=!1,this._grip.angularVelocity=new Z,this._grip.eventsEnabled=!1),this._grip}dispatchEvent(e){return this._targetRay!==null&&this._targetRay.dispatchEvent(e),this._grip!==null&&this._grip.dispatchEvent(e),this._hand!==null&&this._hand.dispatchEvent(e),this}connect(e){if(e&&e.hand){let t=this._hand;if(t)for(let n of e.hand.values())this._getHandJoint(t,n)}return this.dispatchEvent({type:"connected",data:e}),this}disconnect(e){return this.dispatchEvent({type:"disconnected",data:e}),this._targetRay!==null&&(this._targetRay.visible=!1),this._grip!==null&&(this._grip.visible=!1),this._hand!==null&&(this._hand.visible=!1),this}update(e,t,n){let s=null,r=null,a=null,o=this._targetRay,l=this._grip,c=this._hand;if(e&&t.session.visibilityState!=="visible-blurred"){if(c&&e.hand){a=!0;for(let b of e.hand.values()){let m=t.getJointPose(b,n),p=this._getHandJoint(c,b);m!==null&&(p.matrix.fromArray(m.transform.matrix),p.matrix.decompose(p.position,p.quaternion,p.scale),p.matrixWorldNeedsUpdate=!0,p.jointRadius=m.radius),p.visible=m!==null}let u=c.joints["index-finger-tip"],d=c.joints["thumb-tip"],h=u.position.distanceTo(d.position),f=.02,g=.005;c.inputState.pinching&&h>f+g?(c.inputState.pinching=!1,this.dispatchEvent({type:"pinchend",handedness:e.handedness,target:this})):!c.inputState.pinching&&h<=f-g&&(c.inputState.pinching=!0,this.dispatchEvent({type:"pinchstart",handedness:e.handedness,target:this}))}else l!==null&&e.gripSpace&&(r=t.getPose(e.gripSpace,n),r!==null&&(l.matrix.fromArray(r.transform.matrix),l.matrix.decompose(l.position,l.quaternion,l.scale),l.matrixWorldNeedsUpdate=!0,r.linearVelocity?(l.hasLinearVelocity=!0,l.linearVelocity.copy(r.linearVelocity)):l.hasLinearVelocity=!1,r.angularVelocity?(l.hasAngularVelocity=!0,l.angularVelocity.copy(r.angularVelocity)):l.hasAngularVelocity=!1,l.eventsEnabled&&l.dispatchEvent({type:"gripUpdated",data:e,target:this})));o!==null&&(s=t.getPose(e.targetRaySpace,n),s===null&&r!==null&&(s=r),s!==null&&(o.matrix.fromArray(s.transform.matrix),o.matrix.decompose(o.position,o.quaternion,o.scale),o.matrixWorldNeedsUpdate=!0,s.linearVelocity?(o.hasLinearVelocity=!0,o.linearVelocity.copy(s.linearVelocity)):o.hasLinearVelocity=!1,s.angularVelocity?(o.hasAngularVelocity=!0,o.angularVelocity.copy(s.angularVelocity)):o.hasAngularVelocity=!1,this.dispatchEvent(Xv)))}return o!==null&&(o.visible=s!==null),l!==null&&(l.visible=r!==null),c!==null&&(c.visible=a!==null),this}_getHandJoint(e,t){if(e.joints[t.jointName]===void 0){let n=new rr;n.matrixAutoUpdate=!1,n.visible=!1,e.joints[t.jointName]=n,e.add(n)}return e.joints[t.jointName]}},rg={aliceblue:15792383,antiquewhite:16444375,aqua:65535,aquamarine:8388564,azure:15794175,beige:16119260,bisque:16770244,black:0,blanchedalmond:16772045,blue:255,blueviolet:9055202,brown:10824234,burlywood:14596231,cadetblue:6266528,chartreuse:8388352,chocolate:13789470,coral:16744272,cornflowerblue:6591981,cornsilk:16775388,crimson:14423100,cyan:65535,darkblue:139,darkcyan:35723,darkgoldenrod:12092939,darkgray:11119017,darkgreen:25600,darkgrey:11119017,darkkhaki:12433259,darkmagenta:9109643,darkolivegreen:5597999,darkorange:16747520,darkorchid:10040012,darkred:9109504,darksalmon:15308410,darkseagreen:9419919,darkslateblue:4734347,darkslategray:3100495,darkslategrey:3100495,darkturquoise:52945,darkviolet:9699539,deeppink:16716947,deepskyblue:49151,dimgray:6908265,dimgrey:6908265,dodgerblue:2003199,firebrick:11674146,floralwhite:16775920,forestgreen:2263842,fuchsia:16711935,gainsboro:14474460,ghostwhite:16316671,gold:16766720,goldenrod:14329120,gray:8421504,green:32768,greenyellow:11403055,grey:8421504,honeydew:15794160,hotpink:16738740,indianred:13458524,indigo:4915330,ivory:16777200,khaki:15787660,lavender:15132410,lavenderblush:16773365,lawngreen:8190976,lemonchiffon:16775885,lightblue:11393254,lightcoral:15761536,lightcyan:14745599,lightgoldenrodyellow:16448210,lightgray:13882323,lightgreen:9498256,lightgrey:13882323,lightpink:16758465,lightsalmon:16752762,lightseagreen:2142890,lightskyblue:8900346,lightslategray:7833753,lightslategrey:7833753,lightsteelblue:11584734,lightyellow:16777184,lime:65280,limegreen:3329330,linen:16445670,magenta:16711935,maroon:8388608,mediumaquamarine:6737322,mediumblue:205,mediumorchid:12211667,mediumpurple:9662683,mediumseagreen:3978097,mediumslateblue:8087790,mediumspringgreen:64154,mediumturquoise:4772300,mediumvioletred:13047173,midnightblue:1644912,mintcream:16121850,mistyrose:16770273,moccasin:16770229,navajowhite:16768685,navy:128,oldlace:16643558,olive:8421376,olivedrab:7048739,orange:16753920,orangered:16729344,orchid:14315734,palegoldenrod:15657130,palegreen:10025880,paleturquoise:11529966,palevioletred:14381203,papayawhip:16773077,peachpuff:16767673,peru:13468991,pink:16761035,plum:14524637,powderblue:11591910,purple:8388736,rebeccapurple:6697881,red:16711680,rosybrown:12357519,royalblue:4286945,saddlebrown:9127187,salmon:16416882,sandybrown:16032864,seagreen:3050327,seashell:16774638,sienna:10506797,silver:12632256,skyblue:8900331,slateblue:6970061,slategray:7372944,slategrey:7372944,snow:16775930,springgreen:65407,steelblue:4620980,tan:13808780,teal:32896,thistle:14204888,tomato:16737095,turquoise:4251856,violet:15631086,wheat:16113331,white:16777215,whitesmoke:16119285,yellow:16776960,yellowgreen:10145074},Fs={h:0,s:0,l:0},dl={h:0,s:0,l:0};function bu(i,e,t){return t<0&&(t+=1),t>1&&(t-=1),t<1/6?i+(e-i)*6*t:t<1/2?e:t<2/3?i+(e-i)*6*(2/3-t):i}var st=class{constructor(e,t,n){return this.isColor=!0,this.r=1,this.g=1,this.b=1,this.set(e,t,n)}set(e,t,n){if(t===void 0&&n===void 0){let s=e;s&&s.isColor?this.copy(s):typeof s=="number"?this.setHex(s):typeof s=="string"&&this.setStyle(s)}else this.setRGB(e,t,n);return this}setScalar(e){return this.r=e,this.g=e,this.b=e,this}setHex(e,t=di){return e=Math.floor(e),this.r=(e>>16&255)/255,this.g=(e>>8&255)/255,this.b=(e&255)/255,vt.colorSpaceToWorking(this,t),this}setRGB(e,t,n,s=vt.workingColorSpace){return this.r=e,this.g=t,this.b=n,vt.colorSpaceToWorking(this,s),this}setHSL(e,t,n,s=vt.workingColorSpace){if(e=Nv(e,1),t=xt(t,0,1),n=xt(n,0,1),t===0)this.r=this.g=this.b=n;else{let r=n<=.5?n*(1+t):n+t-n*t,a=2*n-r;this.r=bu(a,r,e+1/3),this.g=bu(a,r,e),this.b=bu(a,r,e-1/3)}return vt.colorSpaceToWorking(this,s),this}setStyle(e,t=di){function n(r){r!==void 0&&parseFloat(r)<1&&$e("Color: Alpha component of "+e+" will be ignored.")}let s;if(s=/^(\w+)\(([^\)]*)\)/.exec(e)){let r,a=s[1],o=s[2];switch(a){case"rgb":case"rgba":if(r=/^\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*(?:,\s*(\d+(?:\.\d+)?|\.\d+)\s*)?$/.exec(o))return n(r[4]),this.setRGB(Math.min(255,parseInt(r[1],10))/255,Math.min(255,parseInt(r[2],10))/255,Math.min(255,parseInt(r[3],10))/255,t);if(r=/^\s*(\d+(?:\.\d+)?|\.\d+)\%\s*,\s*(\d+(?:\.\d+)?|\.\d+)\%\s*,\s*(\d+(?:\.\d+)?|\.\d+)\%\s*(?:,\s*(\d+(?:\.\d+)?|\.\d+)\s*)?$/.exec(o))return n(r[4]),this.setRGB(Math.min(100,parseFloat(r[1]))/100,Math.min(100,parseFloat(r[2]))/100,Math.min(100,parseFloat(r[3]))/100,t);break;case"hsl":case"hsla":if(r=/^\s*([+-]?(?:\d+(?:\.\d+)?|\.\d+))\s*,\s*(\d+(?:\.\d+)?|\.\d+)\%\s*,\s*(\d+(?:\.\d+)?|\.\d+)\%\s*(?:,\s*(\d+(?:\.\d+)?|\.\d+)\s*)?$/.exec(o))return n(r[4]),this.setHSL(parseFloat(r[1])/360,parseFloat(r[2])/100,parseFloat(r[3])/100,t);break;default:$e("Color: Unknown color model "+e)}}else if(s=/^\#([A-Fa-f\d]+)$/.exec(e)){let r=s[1],a=r.length;if(a===3)return this.setRGB(parseInt(r.charAt(0),16)/15,parseInt(r.charAt(1),16)/15,parseInt(r.charAt(2),16)/15,t);if(a===6)return this.setHex(parseInt(r,16),t);$e("Color: Invalid hex color "+e)}else if(e&&e.length>0)return this.setColorName(e,t);return this}setColorName(e,t=di){let n=rg[e.toLowerCase()];return n!==void 0?this.setHex(n,t):$e("Color: Unknown color "+e),this}clone(){return new this.constructor(this.r,this.g,this.b)}copy(e){return this.r=e.r,this.g=e.g,this.b=e.b,this}copySRGBToLinear(e){return this.r=ms(e.r),this.g=ms(e.g),this.b=ms(e.b),this}copyLinearToSRGB(e){return this.r=ea(e.r),this.g=ea(e.g),this.b=ea(e.b),this}convertSRGBToLinear(){return this.copySRGBToLinear(this),this}convertLinearToSRGB(){return this.copyLinearToSRGB(this),this}getHex(e=di){return vt.workingToColorSpace(Fn.copy(this),e),Math.round(xt(Fn.r*255,0,255))*65536+Math.round(xt(Fn.g*255,0,255))*256+Math.round(xt(Fn.b*255,0,255))}getHexString(e=di){return("000000"+this.getHex(e).toString(16)).slice(-6)}getHSL(e,t=vt.workingColorSpace){vt.workingToColorSpace(Fn.copy(this),t);let n=Fn.r,s=Fn.g,r=Fn.b,a=Math.max(n,s,r),o=Math.min(n,s,r),l,c,u=(o+a)/2;if(o===a)l=0,c=0;else{let d=a-o;switch(c=u<=.5?d/(a+o):d/(2-a-o),a){case n:l=(s-r)/d+(s<r?6:0);break;case s:l=(r-n)/d+2;break;case r:l=(n-s)/d+4;break}l/=6}return e.h=l,e.s=c,e.l=u,e}getRGB(e,t=vt.workingColorSpace){return vt.workingToColorSpace(Fn.copy(this),t),e.r=Fn.r,e.g=Fn.g,e.b=Fn.b,e}getStyle(e=di){vt.workingToColorSpace(Fn.copy(this),e);let t=Fn.r,n=Fn.g,s=Fn.b;return e!==di?`color(${e} ${t.toFixed(3)} ${n.toFixed(3)} ${s.toFixed(3)})`:`rgb(${Math.round(t*255)},${Math.round(n*255)},${Math.round(s*255)})`}offsetHSL(e,t,n){return this.getHSL(Fs),this.setHSL(Fs.h+e,Fs.s+t,Fs.l+n)}add(e){return this.r+=e.r,this.g+=e.g,this.b+=e.b,this}addColors(e,t){return this.r=e.r+t.r,this.g=e.g+t.g,this.b=e.b+t.b,this}addScalar(e){return this.r+=e,this.g+=e,this.b+=e,this}sub(e){return this.r=Math.max(0,this.r-e.r),this.g=Math.max(0,this.g-e.g),this.b=Math.max(0,this.b-e.b),this}multiply(e){return this.r*=e.r,this.g*=e.g,this.b*=e.b,this}multiplyScalar(e){return this.r*=e,this.g*=e,this.b*=e,this}lerp(e,t){return this.r+=(e.r-this.r)*t,this.g+=(e.g-this.g)*t,this.b+=(e.b-this.b)*t,this}lerpColors(e,t,n){return this.r=e.r+(t.r-e.r)*n,this.g=e.g+(t.g-e.g)*n,this.b=e.b+(t.b-e.b)*n,this}lerpHSL(e,t){this.getHSL(Fs),e.getHSL(dl);let n=mu(Fs.h,dl.h,t),s=mu(Fs.s,dl.s,t),r=mu(Fs.l,dl.l,t);return this.setHSL(n,s,r),this}setFromVector3(e){return this.r=e.x,this.g=e.y,this.b=e.z,this}applyMatrix3(e){let t=this.r,n=this.g,s=this.b,r=e.elements;return this.r=r[0]*t+r[3]*n+r[6]*s,this.g=r[1]*t+r[4]*n+r[7]*s,this.b=r[2]*t+r[5]*n+r[8]*s,this}equals(e){return e.r===this.r&&e.g===this.g&&e.b===this.b}fromArray(e,t=0){return this.r=e[t],this.g=e[t+1],this.b=e[t+2],this}toArray(e=[],t=0){return e[t]=this.r,e[t+1]=this.g,e[t+2]=this.b,e}fromBufferAttribute(e,t){return this.r=e.getX(t),this.g=e.getY(t),this.b=e.getZ(t),this}toJSON(){return this.getHex()}*[Symbol.iterator](){yield this.r,yield this.g,yield this.b}},Fn=new st;st.NAMES=rg;var ar=class extends Ln{constructor(){super(),this.isScene=!0,this.type="Scene",this.background=null,this.environment=null,this.fog=null,this.backgroundBlurriness=0,this.backgroundIntensity=1,this.backgroundRotation=new _s,this.environmentIntensity=1,this.environmentRotation=new _s,this.overrideMaterial=null,typeof __THREE_DEVTOOLS__<"u"&&__THREE_DEVTOOLS__.dispatchEvent(new CustomEvent("observe",{detail:this}))}copy(e,t){return super.copy(e,t),this.background=e.background!==null?e.background.clone():null,this.environment=e.environment!==null?e.environment.clone():null,this.fog=e.fog!==null?e.fog.clone():null,this.backgroundBlurriness=e.backgroundBlurriness,this.backgroundIntensity=e.backgroundIntensity,this.backgroundRotation.copy(e.backgroundRotation),this.environmentIntensity=e.environmentIntensity,this.environmentRotation.copy(e.environmentRotation),this.overrideMaterial=e.overrideMaterial!==null?e.overrideMaterial.clone():null,this.matrixAutoUpdate=e.matrixAutoUpdate,this}toJSON(e){let t=super.toJSON(e);return this.fog!==null&&(t.object.fog=this.fog.toJSON()),t.object.backgroundBlurriness=this.backgroundBlurriness,t.object.backgroundIntensity=this.backgroundIntensity,t.object.backgroundRotation=this.backgroundRotation.toArray(),t.object.environmentIntensity=this.environmentIntensity,t.object.environmentRotation=this.environmentRotation.toArray(),t}},Ni=new Z,us=new Z,Su=new Z,ds=new Z,Hr=new Z,Wr=new Z,rm=new Z,Mu=new Z,wu=new Z,Tu=new Z,Eu=new $t,Au=new $t,Cu=new $t,ks=class i{constructor(e=new Z,t=new Z,n=new Z){this.a=e,this.b=t,this.c=n}static getNormal(e,t,n,s){s.subVectors(n,t),Ni.subVectors(e,t),s.cross(Ni);let r=s.lengthSq();return r>0?s.multiplyScalar(1/Math.sqrt(r)):s.set(0,0,0)}static getBarycoord(e,t,n,s,r){Ni.subVectors(s,t),us.subVectors(n,t),Su.subVectors(e,t);let a=Ni.dot(Ni),o=Ni.dot(us),l=Ni.dot(Su),c=us.dot(us),u=us.dot(Su),d=a*c-o*o;if(d===0)return r.set(0,0,0),null;let h=1/d,f=(c*l-o*u)*h,g=(a*u-o*l)*h;return r.set(1-f-g,g,f)}static containsPoint(e,t,n,s){return this.getBarycoord(e,t,n,s,ds)===null?!1:ds.x>=0&&ds.y>=0&&ds.x+ds.y<=1}static getInterpolation(e,t,n,s,r,a,o,l){return this.getBarycoord(e,t,n,s,ds)===null?(l.x=0,l.y=0,"z"in l&&(l.z=0),"w"in l&&(l.w=0),null):(l.setScalar(0),l.addScaledVector(r,ds.x),l.addScaledVector(a,ds.y),l.addScaledVector(o,ds.z),l)}static getInterpolatedAttribute(e,t,n,s,r,a){return Eu.setScalar(0),Au.setScalar(0),Cu.setScalar(0),Eu.fromBufferAttribute(e,t),Au.fromBufferAttribute(e,n),Cu.fromBufferAttribute(e,s),a.setScalar(0),a.addScaledVector(Eu,r.x),a.addScaledVector(Au,r.y),a.addScaledVector(Cu,r.z),a}static isFrontFacing(e,t,n,s){return Ni.subVectors(n,t),us.subVectors(e,t),Ni.cross(us).dot(s)<0}set(e,t,n){return this.a.copy(e),this.b.copy(t),this.c.copy(n),this}setFromPointsAndIndices(e,t,n,s){return this.a.copy(e[t]),this.b.copy(e[n]),this.c.copy(e[s]),this}setFromAttributeAndIndices(e,t,n,s){return this.a.fromBufferAttribute(e,t),this.b.fromBufferAttribute(e,n),this.c.fromBufferAttribute(e,s),this}clone(){return new this.constructor().copy(this)}copy(e){return this.a.copy(e.a),this.b.copy(e.b),this.c.copy(e.c),this}getArea(){return Ni.subVectors(this.c,this.b),us.subVectors(this.a,this.b),Ni.cross(us).length()*.5}getMidpoint(e){return e.addVectors(this.a,this.b).add(this.c).multiplyScalar(1/3)}getNormal(e){return i.getNormal(this.a,this.b,this.c,e)}getPlane(e){return e.setFromCoplanarPoints(this.a,this.b,this.c)}getBarycoord(e,t){return i.getBarycoord(e,this.a,this.b,this.c,t)}getInterpolation(e,t,n,s,r){return i.getInterpolation(e,this.a,this.b,this.c,t,n,s,r)}containsPoint(e){return i.containsPoint(e,this.a,this.b,this.c)}isFrontFacing(e){return i.isFrontFacing(this.a,this.b,this.c,e)}intersectsBox(e){return e.intersectsTriangle(this)}closestPointToPoint(e,t){let n=this.a,s=this.b,r=this.c,a,o;Hr.subVectors(s,n),Wr.subVectors(r,n),Mu.subVectors(e,n);let l=Hr.dot(Mu),c=Wr.dot(Mu);if(l<=0&&c<=0)return t.copy(n);wu.subVectors(e,s);let u=Hr.dot(wu),d=Wr.dot(wu);if(u>=0&&d<=u)return t.copy(s);let h=l*d-u*c;if(h<=0&&l>=0&&u<=0&&l-u>0)return a=l/(l-u),t.copy(n).addScaledVector(Hr,a);Tu.subVectors(e,r);let f=Hr.dot(Tu),g=Wr.dot(Tu);if(g>=0&&f<=g)return t.copy(r);let b=f*c-l*g;if(b<=0&&c>=0&&g<=0)return o=c/(c-g),t.copy(n).addScaledVector(Wr,o);let m=u*g-f*d;if(m<=0&&d-u>=0&&f-g>=0)return rm.subVectors(r,s),o=(d-u)/(d-u+(f-g)),t.copy(s).addScaledVector(rm,o);let p=1/(m+b+h);return a=b*p,o=h*p,t.copy(n).addScaledVector(Hr,a).addScaledVector(Wr,o)}equals(e){return e.a.equals(this.a)&&e.b.equals(this.b)&&e.c.equals(this.c)}},Ji=class{constructor(e=new Z(1/0,1/0,1/0),t=new Z(-1/0,-1/0,-1/0)){this.isBox3=!0,this.min=e,this.max=t}set(e,t){return this.min.copy(e),this.max.copy(t),this}setFromArray(e){this.makeEmpty();for(let t=0,n=e.length;t<n;t+=3)this.expandByPoint(Di.fromArray(e,t));return this}setFromBufferAttribute(e){this.makeEmpty();for(let t=0,n=e.count;t<n;t++)this.expandByPoint(Di.fromBufferAttribute(e,t));return this}setFromPoints(e){this.makeEmpty();for(let t=0,n=e.length;t<n;t++)this.expandByPoint(e[t]);return this}setFromCenterAndSize(e,t){let n=Di.copy(t).multiplyScalar(.5);return this.min.copy(e).sub(n),this.max.copy(e).add(n),this}setFromObject(e,t=!1){return this.makeEmpty(),this.expandByObject(e,t)}clone(){return new this.constructor().copy(this)}copy(e){return this.min.copy(e.min),this.max.copy(e.max),this}makeEmpty(){return this.min.x=this.min.y=this.min.z=1/0,this.max.x=this.max.y=this.max.z=-1/0,this}isEmpty(){return this.max.x<this.min.x||this.max.y<this.min.y||this.max.z<this.min.z}getCenter(e){return this.isEmpty()?e.set(0,0,0):e.addVectors(this.min,this.max).multiplyScalar(.5)}getSize(e){return this.isEmpty()?e.set(0,0,0):e.subVectors(this.max,this.min)}expandByPoint(e){return this.min.min(e),this.max.max(e),this}expandByVector(e){return this.min.sub(e),this.max.add(e),this}expandByScalar(e){return this.min.addScalar(-e),this.max.addScalar(e),this}expandByObject(e,t=!1){e.updateWorldMatrix(!1,!1);let n=e.geometry;if(n!==void 0){let r=n.getAttribute("position");if(t===!0&&r!==void 0&&e.isInstancedMesh!==!0&&e.isBatchedMesh!==!0)for(let a=0,o=r.count;a<o;a++)e.isMesh===!0?e.getVertexPosition(a,Di):Di.fromBufferAttribute(r,a),Di.applyMatrix4(e.matrixWorld),this.expandByPoint(Di);else e.boundingBox!==void 0?(e.boundingBox===null&&e.computeBoundingBox(),fl.copy(e.boundingBox)):(n.boundingBox===null&&n.computeBoundingBox(),fl.copy(n.boundingBox)),fl.applyMatrix4(e.matrixWorld),this.union(fl)}let s=e.children;for(let r=0,a=s.length;r<a;r++)this.expandByObject(s[r],t);return this}containsPoint(e){return e.x>=this.min.x&&e.x<=this.max.x&&e.y>=this.min.y&&e.y<=this.max.y&&e.z>=this.min.z&&e.z<=this.max.z}containsBox(e){return this.min.x<=e.min.x&&e.max.x<=this.max.x&&this.min.y<=e.min.y&&e.max.y<=this.max.y&&this.min.z<=e.min.z&&e.max.z<=this.max.z}getParameter(e,t){return t.set((e.x-this.min.x)/(this.max.x-this.min.x),(e.y-this.min.y)/(this.max.y-this.min.y),(e.z-this.min.z)/(this.max.z-this.min.z))}intersectsBox(e){return e.max.x>=this.min.x&&e.min.x<=this.max.x&&e.max.y>=this.min.y&&e.min.y<=this.max.y&&e.max.z>=this.min.z&&e.min.z<=this.max.z}intersectsSphere(e){return this.clampPoint(e.center,Di),Di.distanceToSquared(e.center)<=e.radius*e.radius}intersectsPlane(e){let t,n;return e.normal.x>0?(t=e.normal.x*this.min.x,n=e.normal.x*this.max.x):(t=e.normal.x*this.max.x,n=e.normal.x*this.min.x),e.normal.y>0?(t+=e.normal.y*this.min.y,n+=e.normal.y*this.max.y):(t+=e.normal.y*this.max.y,n+=e.normal.y*this.min.y),e.normal.z>0?(t+=e.normal.z*this.min.z,n+=e.normal.z*this.max.z):(t+=e.normal.z*this.max.z,n+=e.normal.z*this.min.z),t<=-e.constant&&n>=-e.constant}intersectsTriangle(e){if(this.isEmpty())return!1;this.getCenter(ka),pl.subVectors(this.max,ka),Xr.subVectors(e.a,ka),qr.subVectors(e.b,ka),Yr.subVectors(e.c,ka),Us.subVectors(qr,Xr),Os.subVectors(Yr,qr),tr.subVectors(Xr,Yr);let t=[0,-Us.z,Us.y,0,-Os.z,Os.y,0,-tr.z,tr.y,Us.z,0,-Us.x,Os.z,0,-Os.x,tr.z,0,-tr.x,-Us.y,Us.x,0,-Os.y,Os.x,0,-tr.y,tr.x,0];return!Ru(t,Xr,qr,Yr,pl)||(t=[1,0,0,0,1,0,0,0,1],!Ru(t,Xr,qr,Yr,pl))?!1:(ml.crossVectors(Us,Os),t=[ml.x,ml.y,ml.z],Ru(t,Xr,qr,Yr,pl))}clampPoint(e,t){return t.copy(e).clamp(this.min,this.max)}distanceToPoint(e){return this.clampPoint(e,Di).distanceTo(e)}getBoundingSphere(e){return this.isEmpty()?e.makeEmpty():(this.getCenter(e.center),e.radius=this.getSize(Di).length()*.5),e}intersect(e){return this.min.max(e.min),this.max.min(e.max),this.isEmpty()&&this.makeEmpty(),this}union(e){return this.min.min(e.min),this.max.max(e.max),this}applyMatrix4(e){return this.isEmpty()?this:(fs[0].set(this.min.x,this.min.y,this.min.z).applyMatrix4(e),fs[1].set(this.min.x,this.min.y,this.max.z).applyMatrix4(e),fs[2].set(this.min.x,this.max.y,this.min.z).applyMatrix4(e),fs[3].set(this.min.x,this.max.y,this.max.z).applyMatrix4(e),fs[4].set(this.max.x,this.min.y,this.min.z).applyMatrix4(e),fs[5].set(this.max.x,this.min.y,this.max.z).applyMatrix4(e),fs[6].set(this.max.x,this.max.y,this.min.z).applyMatrix4(e),fs[7].set(this.max.x,this.max.y,this.max.z).applyMatrix4(e),this.setFromPoints(fs),this)}translate(e){return this.min.add(e),this.max.add(e),this}equals(e){return e.min.equals(this.min)&&e.max.equals(this.max)}toJSON(){return{min:this.min.toArray(),max:this.max.toArray()}}fromJSON(e){return this.min.fromArray(e.min),this.max.fromArray(e.max),this}},fs=[new Z,new Z,new Z,new Z,new Z,new Z,new Z,new Z],Di=new Z,fl=new Ji,Xr=new Z,qr=new Z,Yr=new Z,Us=new Z,Os=new Z,tr=new Z,ka=new Z,pl=new Z,ml=new Z,nr=new Z;function Ru(i,e,t,n,s){for(let r=0,a=i.length-3;r<=a;r+=3){nr.fromArray(i,r);let o=s.x*Math.abs(nr.x)+s.y*Math.abs(nr.y)+s.z*Math.abs(nr.z),l=e.dot(nr),c=t.dot(nr),u=n.dot(nr);if(Math.max(-Math.max(l,c,u),Math.min(l,c,u))>o)return!1}return!0}var fn=new Z,gl=new pt,qv=0,Wn=class extends Zi{constructor(e,t,n=!1){if(super(),Array.isArray(e))throw new TypeError("THREE.BufferAttribute: array should be a Typed Array.");this.isBufferAttribute=!0,Object.defineProperty(this,"id",{value:qv++}),this.name="",this.array=e,this.itemSize=t,this.count=e!==void 0?e.length/t:0,this.normalized=n,this.usage=Qm,this.updateRanges=[],this.gpuType=wi,this.version=0,this._normalizationScale=e!==void 0?_d(e):void 0}onUploadCallback(){}set needsUpdate(e){e===!0&&this.version++}setUsage(e){return this.usage=e,this}addUpdateRange(e,t){this.updateRanges.push({start:e,count:t})}clearUpdateRanges(){this.updateRanges.length=0}copy(e){return this.name=e.name,this.array=new e.array.constructor(e.array),this.itemSize=e.itemSize,this.count=e.count,this.normalized=e.normalized,this.usage=e.usage,this.gpuType=e.gpuType,this._normalizationScale=e._normalizationScale,this}copyAt(e,t,n){e*=this.itemSize,n*=t.itemSize;for(let s=0,r=this.itemSize;s<r;s++)this.array[e+s]=t.array[n+s];return this}copyArray(e){return this.array.set(e),this}applyMatrix3(e){if(this.itemSize===2)for(let t=0,n=this.count;t<n;t++)gl.fromBufferAttribute(this,t),gl.applyMatrix3(e),this.setXY(t,gl.x,gl.y);else if(this.itemSize===3)for(let t=0,n=this.count;t<n;t++)fn.fromBufferAttribute(this,t),fn.applyMatrix3(e),this.setXYZ(t,fn.x,fn.y,fn.z);return this}applyMatrix4(e){for(let t=0,n=this.count;t<n;t++)fn.fromBufferAttribute(this,t),fn.applyMatrix4(e),this.setXYZ(t,fn.x,fn.y,fn.z);return this}applyNormalMatrix(e){for(let t=0,n=this.count;t<n;t++)fn.fromBufferAttribute(this,t),fn.applyNormalMatrix(e),this.setXYZ(t,fn.x,fn.y,fn.z);return this}transformDirection(e){for(let t=0,n=this.count;t<n;t++)fn.fromBufferAttribute(this,t),fn.transformDirection(e),this.setXYZ(t,fn.x,fn.y,fn.z);return this}set(e,t=0){return this.array.set(e,t),this}getComponent(e,t){let n=this.array[e*this.itemSize+t];return this.normalized&&(n=this._denormalize(n)),n}setComponent(e,t,n){return this.normalized&&(n=this._normalize(n)),this.array[e*this.itemSize+t]=n,this}getX(e){let t=this.array[e*this.itemSize];return this.normalized&&(t=this._denormalize(t)),t}setX(e,t){return this.normalized&&(t=this._normalize(t)),this.array[e*this.itemSize]=t,this}getY(e){let t=this.array[e*this.itemSize+1];return this.normalized&&(t=this._denormalize(t)),t}setY(e,t){return this.normalized&&(t=this._normalize(t)),this.array[e*this.itemSize+1]=t,this}getZ(e){let t=this.array[e*this.itemSize+2];return this.normalized&&(t=this._denormalize(t)),t}setZ(e,t){return this.normalized&&(t=this._normalize(t)),this.array[e*this.itemSize+2]=t,this}getW(e){let t=this.array[e*this.itemSize+3];return this.normalized&&(t=this._denormalize(t)),t}setW(e,t){return this.normalized&&(t=this._normalize(t)),this.array[e*this.itemSize+3]=t,this}setXY(e,t,n){return e*=this.itemSize,this.normalized&&(t=this._normalize(t),n=this._normalize(n)),this.array[e+0]=t,this.array[e+1]=n,this}setXYZ(e,t,n,s){return e*=this.itemSize,this.normalized&&(t=this._normalize(t),n=this._normalize(n),s=this._normalize(s)),this.array[e+0]=t,this.array[e+1]=n,this.array[e+2]=s,this}setXYZW(e,t,n,s,r){return e*=this.itemSize,this.normalized&&(t=this._normalize(t),n=this._normalize(n),s=this._normalize(s),r=this._normalize(r)),this.array[e+0]=t,this.array[e+1]=n,this.array[e+2]=s,this.array[e+3]=r,this}onUpload(e){return this.onUploadCallback=e,this}clone(){return new this.constructor(this.array,this.itemSize).copy(this)}toJSON(){let e={itemSize:this.itemSize,type:this.array.constructor.name,array:Array.from(this.array),normalized:this.normalized};return e.name=this.name,e.usage=this.usage,e.gpuType=this.gpuType,e}dispose(){this.dispatchEvent({type:"dispose"})}_denormalize(e){let t=this._normalizationScale;return t!==void 0?Math.max(e/t,-1):Dv(e,this.array)}_normalize(e){let t=this._normalizationScale;return t!==void 0?Math.round(e*t):Fv(e,this.array)}};var Ka=class extends Wn{constructor(e,t,n){super(new Uint16Array(e),t,n)}};var ja=class extends Wn{constructor(e,t,n){super(new Uint32Array(e),t,n)}};var rn=class extends Wn{constructor(e,t,n){super(new Float32Array(e),t,n)}},Yv=new Ji,za=new Z,Pu=new Z,vs=class{constructor(e=new Z,t=-1){this.isSphere=!0,this.center=e,this.radius=t}set(e,t){return this.center.copy(e),this.radius=t,this}setFromPoints(e,t){let n=this.center;t!==void 0?n.copy(t):Yv.setFromPoints(e).getCenter(n);let s=0;for(let r=0,a=e.length;r<a;r++)s=Math.max(s,n.distanceToSquared(e[r]));return this.radius=Math.sqrt(s),this}copy(e){return this.center.copy(e.center),this.radius=e.radius,this}isEmpty(){return this.radius<0}makeEmpty(){return this.center.set(0,0,0),this.radius=-1,this}containsPoint(e){return e.distanceToSquared(this.center)<=this.radius*this.radius}distanceToPoint(e){return e.distanceTo(this.center)-this.radius}intersectsSphere(e){let t=this.radius+e.radius;return e.center.distanceToSquared(this.center)<=t*t}intersectsBox(e){return e.intersectsSphere(this)}intersectsPlane(e){return Math.abs(e.distanceToPoint(this.center))<=this.radius}clampPoint(e,t){let n=this.center.distanceToSquared(e);return t.copy(e),n>this.radius*this.radius&&(t.sub(this.center).normalize(),t.multiplyScalar(this.radius).add(this.center)),t}getBoundingBox(e){return this.isEmpty()?(e.makeEmpty(),e):(e.set(this.center,this.center),e.expandByScalar(this.radius),e)}applyMatrix4(e){return this.center.applyMatrix4(e),this.radius=this.radius*e.getMaxScaleOnAxis(),this}translate(e){return this.center.add(e),this}expandByPoint(e){if(this.isEmpty())return this.center.copy(e),this.radius=0,this;za.subVectors(e,this.center);let t=za.lengthSq();if(t>this.radius*this.radius){let n=Math.sqrt(t),s=(n-this.radius)*.5;this.center.addScaledVector(za,s/n),this.radius+=s}return this}union(e){return e.isEmpty()?this:this.isEmpty()?(this.copy(e),this):(this.center.equals(e.center)===!0?this.radius=Math.max(this.radius,e.radius):(Pu.subVectors(e.center,this.center).setLength(e.radius),this.expandByPoint(za.copy(e.center).add(Pu)),this.expandByPoint(za.copy(e.center).sub(Pu))),this)}equals(e){return e.center.equals(this.center)&&e.radius===this.radius}clone(){return new this.constructor().copy(this)}toJSON(){return{radius:this.radius,center:this.center.toArray()}}fromJSON(e){return this.radius=e.radius,this.center.fromArray(e.center),this}},$v=0,bi=new St,Iu=new Ln,$r=new Z,ui=new Ji,Va=new Ji,An=new Z,Jn=class i extends Zi{constructor(){super(),this.isBufferGeometry=!0,Object.defineProperty(this,"id",{value:$v++}),this.uuid=wo(),this.name="",this.type="BufferGeometry",this.index=null,this.indirect=null,this.indirectOffset=0,this.attributes={},this.morphAttributes={},this.morphTargetsRelative=!1,this.groups=[],this.boundingBox=null,this.boundingSphere=null,this.drawRange={start:0,count:1/0},this.userData={},this._transformed=!1}getIndex(){return this.index}setIndex(e){return Array.isArray(e)?this.index=new(Iv(e)?ja:Ka)(e,1):this.index=e,this}setIndirect(e,t=0){return this.indirect=e,this.indirectOffset=t,this}getIndirect(){return this.indirect}getAttribute(e){return this.attributes[e]}setAttribute(e,t){return this.attributes[e]=t,this}deleteAttribute(e){return delete this.attributes[e],this}hasAttribute(e){return this.attributes[e]!==void 0}addGroup(e,t,n=0){this.groups.push({start:e,count:t,materialIndex:n})}clearGroups(){this.groups=[]}setDrawRange(e,t){this.drawRange.start=e,this.drawRange.count=t}applyMatrix4(e){let t=this.attributes.position;t!==void 0&&(t.applyMatrix4(e),t.needsUpdate=!0);let n=this.attributes.normal;if(n!==void 0){let r=new Qe().getNormalMatrix(e);n.applyNormalMatrix(r),n.needsUpdate=!0}let s=this.attributes.tangent;return s!==void 0&&(s.transformDirection(e),s.needsUpdate=!0),this.boundingBox!==null&&this.computeBoundingBox(),this.boundingSphere!==null&&this.computeBoundingSphere(),this._transformed=!0,this}applyQuaternion(e){return bi.makeRotationFromQuaternion(e),this.applyMatrix4(bi),this}rotateX(e){return bi.makeRotationX(e),this.applyMatrix4(bi),this}rotateY(e){return bi.makeRotationY(e),this.applyMatrix4(bi),this}rotateZ(e){return bi.makeRotationZ(e),this.applyMatrix4(bi),this}translate(e,t,n){return bi.makeTranslation(e,t,n),this.applyMatrix4(bi),this}scale(e,t,n){return bi.makeScale(e,t,n),this.applyMatrix4(bi),this}lookAt(e){return Iu.lookAt(e),Iu.updateMatrix(),this.applyMatrix4(Iu.matrix),this}center(){return this.computeBoundingBox(),this.boundingBox.getCenter($r).negate(),this.translate($r.x,$r.y,$r.z),this}setFromPoints(e){let t=this.getAttribute("position");if(t===void 0){let n=[];for(let s=0,r=e.length;s<r;s++){let a=e[s];n.push(a.x,a.y,a.z||0)}this.setAttribute("position",new rn(n,3))}else{let n=Math.min(e.length,t.count);for(let s=0;s<n;s++){let r=e[s];t.setXYZ(s,r.x,r.y,r.z||0)}e.length>t.count&&$e("BufferGeometry: Buffer size too small for points data. Use .dispose() and create a new geometry."),t.needsUpdate=!0}return this}computeBoundingBox(){this.boundingBox===null&&(this.boundingBox=new Ji);let e=this.attributes.position,t=this.morphAttributes.position;if(e&&e.isGLBufferAttribute){je("BufferGeometry.computeBoundingBox(): GLBufferAttribute requires a manual bounding box.",this),this.boundingBox.set(new Z(-1/0,-1/0,-1/0),new Z(1/0,1/0,1/0));return}if(e!==void 0){if(this.boundingBox.setFromBufferAttribute(e),t)for(let n=0,s=t.length;n<s;n++){let r=t[n];ui.setFromBufferAttribute(r),this.morphTargetsRelative?(An.addVectors(this.boundingBox.min,ui.min),this.boundingBox.expandByPoint(An),An.addVectors(this.boundingBox.max,ui.max),this.boundingBox.expandByPoint(An)):(this.boundingBox.expandByPoint(ui.min),this.boundingBox.expandByPoint(ui.max))}}else this.boundingBox.makeEmpty();(isNaN(this.boundingBox.min.x)||isNaN(this.boundingBox.min.y)||isNaN(this.boundingBox.min.z))&&je('BufferGeometry.computeBoundingBox(): Computed min/max have NaN values. The "position" attribute is likely to have NaN values.',this)}computeBoundingSphere(){this.boundingSphere===null&&(this.boundingSphere=new vs);let e=this.attributes.position,t=this.morphAttributes.position;if(e&&e.isGLBufferAttribute){je("BufferGeometry.computeBoundingSphere(): GLBufferAttribute requires a manual bounding sphere.",this),this.boundingSphere.set(new Z,1/0);return}if(e){let n=this.boundingSphere.center;if(ui.setFromBufferAttribute(e),t)for(let r=0,a=t.length;r<a;r++){let o=t[r];Va.setFromBufferAttribute(o),this.morphTargetsRelative?(An.addVectors(ui.min,Va.min),ui.expandByPoint(An),An.addVectors(ui.max,Va.max),ui.expandByPoint(An)):(ui.expandByPoint(Va.min),ui.expandByPoint(Va.max))}ui.getCenter(n);let s=0;for(let r=0,a=e.count;r<a;r++)An.fromBufferAttribute(e,r),s=Math.max(s,n.distanceToSquared(An));if(t)for(let r=0,a=t.length;r<a;r++){let o=t[r],l=this.morphTargetsRelative;for(let c=0,u=o.count;c<u;c++)An.fromBufferAttribute(o,c),l&&($r.fromBufferAttribute(e,c),An.add($r)),s=Math.max(s,n.distanceToSquared(An))}this.boundingSphere.radius=Math.sqrt(s),isNaN(this.boundingSphere.radius)&&je('BufferGeometry.computeBoundingSphere(): Computed radius is NaN. The "position" attribute is likely to have NaN values.',this)}}computeTangents(){let e=this.index,t=this.attributes;if(e===null||t.position===void 0||t.normal===void 0||t.uv===void 0){je("BufferGeometry: .computeTangents() failed. Missing required attributes (index, position, normal or uv)");return}let n=t.position,s=t.normal,r=t.uv,a=this.getAttribute("tangent");(a===void 0||a.count!==n.count)&&(a=new Wn(new Float32Array(4*n.count),4),this.setAttribute("tangent",a));let o=[],l=[],c=new Uint8Array(n.count);for(let B=0;B<n.count;B++)o[B]=new Z,l[B]=new Z;let u=new Z,d=new Z,h=new Z,f=new pt,g=new pt,b=new pt,m=new Z,p=new Z;function x(B,F,L){c[B]=c[F]=c[L]=1,u.fromBufferAttribute(n,B),d.fromBufferAttribute(n,F),h.fromBufferAttribute(n,L),f.fromBufferAttribute(r,B),g.fromBufferAttribute(r,F),b.fromBufferAttribute(r,L),d.sub(u),h.sub(u),g.sub(f),b.sub(f);let z=1/(g.x*b.y-b.x*g.y);isFinite(z)&&(m.copy(d).multiplyScalar(b.y).addScaledVector(h,-g.y).multiplyScalar(z),p.copy(h).multiplyScalar(g.x).addScaledVector(d,-b.x).multiplyScalar(z),o[B].add(m),o[F].add(m),o[L].add(m),l[B].add(p),l[F].add(p),l[L].add(p))}let A=this.groups;A.length===0&&(A=[{start:0,count:e.count}]);for(let B=0,F=A.length;B<F;++B){let L=A[B],z=L.start,G=L.count;for(let N=z,H=z+G;N<H;N+=3)x(e.getX(N+0),e.getX(N+1),e.getX(N+2))}let S=new Z,R=new Z,E=new Z,v=new Z;function T(B){E.fromBufferAttribute(s,B),v.copy(E);let F=o[B];S.copy(F),S.sub(E.multiplyScalar(E.dot(F))).normalize(),R.crossVectors(v,F);let z=R.dot(l[B])<0?-1:1;a.setXYZW(B,S.x,S.y,S.z,z)}for(let B=0,F=n.count;B<F;++B)c[B]&&T(B);this._transformed=!0}computeVertexNormals(){let e=this.index,t=this.getAttribute("position");if(t!==void 0){let n=this.getAttribute("normal");if(n===void 0||n.count!==t.count)n=new Wn(new Float32Array(t.count*3),3),this.setAttribute("normal",n);else for(let h=0,f=n.count;h<f;h++)n.setXYZ(h,0,0,0);let s=new Z,r=new Z,a=new Z,o=new Z,l=new Z,c=new Z,u=new Z,d=new Z;if(e)for(let h=0,f=e.count;h<f;h+=3){let g=e.getX(h+0),b=e.getX(h+1),m=e.getX(h+2);s.fromBufferAttribute(t,g),r.fromBufferAttribute(t,b),a.fromBufferAttribute(t,m),u.subVectors(a,r),d.subVectors(s,r),u.cross(d),o.fromBufferAttribute(n,g),l.fromBufferAttribute(n,b),c.fromBufferAttribute(n,m),o.add(u),l.add(u),c.add(u),n.setXYZ(g,o.x,o.y,o.z),n.setXYZ(b,l.x,l.y,l.z),n.setXYZ(m,c.x,c.y,c.z)}else for(let h=0,f=t.count;h<f;h+=3)s.fromBufferAttribute(t,h+0),r.fromBufferAttribute(t,h+1),a.fromBufferAttribute(t,h+2),u.subVectors(a,r),d.subVectors(s,r),u.cross(d),n.setXYZ(h+0,u.x,u.y,u.z),n.setXYZ(h+1,u.x,u.y,u.z),n.setXYZ(h+2,u.x,u.y,u.z);this.normalizeNormals(),n.needsUpdate=!0}}normalizeNormals(){let e=this.attributes.normal;for(let t=0,n=e.count;t<n;t++)An.fromBufferAttribute(e,t),An.normalize(),e.setXYZ(t,An.x,An.y,An.z)}toNonIndexed(){function e(o,l){let c=o.array,u=o.itemSize,d=o.normalized,h=new c.constructor(l.length*u),f=0,g=0;for(let b=0,m=l.length;b<m;b++){o.isInterleavedBufferAttribute?f=l[b]*o.data.stride+o.offset:f=l[b]*u;for(let p=0;p<u;p++)h[g++]=c[f++]}return new Wn(h,u,d)}if(this.index===null)return $e("BufferGeometry.toNonIndexed(): BufferGeometry is already non-indexed."),this;let t=new i,n=this.index.array,s=this.attributes;for(let o in s){let l=s[o],c=e(l,n);t.setAttribute(o,c)}let r=this.morphAttributes;for(let o in r){let l=[],c=r[o];for(let u=0,d=c.length;u<d;u++){let h=c[u],f=e(h,n);l.push(f)}t.morphAttributes[o]=l}t.morphTargetsRelative=this.morphTargetsRelative;let a=this.groups;for(let o=0,l=a.length;o<l;o++){let c=a[o];t.addGroup(c.start,c.count,c.materialIndex)}return t}toJSON(){let e={metadata:{version:4.7,type:"BufferGeometry",generator:"BufferGeometry.toJSON"}};if(e.uuid=this.uuid,e.type=this.parameters!==void 0&&this._transformed===!0?"BufferGeometry":this.type,e.name=this.name,Object.keys(this.userData).length>0&&(e.userData=this.userData),this.parameters!==void 0&&this._transformed!==!0){let l=this.parameters;for(let c in l)l[c]!==void 0&&(e[c]=l[c]);return e}e.data={attributes:{}};let t=this.index;t!==null&&(e.data.index={type:t.array.constructor.name,array:Array.prototype.slice.call(t.array)});let n=this.attributes;for(let l in n){let c=n[l];e.data.attributes[l]=c.toJSON(e.data)}let s={},r=!1;for(let l in this.morphAttributes){let c=this.morphAttributes[l],u=[];for(let d=0,h=c.length;d<h;d++){let f=c[d];u.push(f.toJSON(e.data))}u.length>0&&(s[l]=u,r=!0)}r&&(e.data.morphAttributes=s,e.data.morphTargetsRelative=this.morphTargetsRelative);let a=this.groups;a.length>0&&(e.data.groups=JSON.parse(JSON.stringify(a)));let o=this.boundingSphere;return o!==null&&(e.data.boundingSphere=o.toJSON()),e}clone(){return new this.constructor().copy(this)}copy(e){this.index=null,this.attributes={},this.morphAttributes={},this.groups=[],this.boundingBox=null,this.boundingSphere=null;let t={};this.name=e.name;let n=e.index;n!==null&&this.setIndex(n.clone());let s=e.attributes;for(let c in s){let u=s[c];this.setAttribute(c,u.clone(t))}let r=e.morphAttributes;for(let c in r){let u=[],d=r[c];for(let h=0,f=d.length;h<f;h++)u.push(d[h].clone(t));this.morphAttributes[c]=u}this.morphTargetsRelative=e.morphTargetsRelative;let a=e.groups;for(let c=0,u=a.length;c<u;c++){let d=a[c];this.addGroup(d.start,d.count,d.materialIndex)}let o=e.boundingBox;o!==null&&(this.boundingBox=o.clone());let l=e.boundingSphere;return l!==null&&(this.boundingSphere=l.clone()),this.drawRange.start=e.drawRange.start,this.drawRange.count=e.drawRange.count,this.userData=e.userData,this._transformed=e._transformed,this}dispose(){this.dispatchEvent({type:"dispose"})}};var Lu=new Z,Zv=new Z,Jv=new Qe,Fi=class{constructor(e=new Z(1,0,0),t=0){this.isPlane=!0,this.normal=e,this.constant=t}set(e,t){return this.normal.copy(e),this.constant=t,this}setComponents(e,t,n,s){return this.normal.set(e,t,n),this.constant=s,this}setFromNormalAndCoplanarPoint(e,t){return this.normal.copy(e),this.constant=-t.dot(this.normal),this}setFromCoplanarPoints(e,t,n){let s=Lu.subVectors(n,t).cross(Zv.subVectors(e,t)).normalize();return this.setFromNormalAndCoplanarPoint(s,e),this}copy(e){return this.normal.copy(e.normal),this.constant=e.constant,this}normalize(){let e=1/this.normal.length();return this.normal.multiplyScalar(e),this.constant*=e,this}negate(){return this.constant*=-1,this.normal.negate(),this}distanceToPoint(e){return this.normal.dot(e)+this.constant}distanceToSphere(e){return this.distanceToPoint(e.center)-e.radius}projectPoint(e,t){return t.copy(e).addScaledVector(this.normal,-this.distanceToPoint(e))}intersectLine(e,t,n=!0){let s=e.delta(Lu),r=this.normal.dot(s);if(r===0)return this.distanceToPoint(e.start)===0?t.copy(e.start):null;let a=-(e.start.dot(this.normal)+this.constant)/r;return n===!0&&(a<0||a>1)?null:t.copy(e.start).addScaledVector(s,a)}intersectsLine(e){let t=this.distanceToPoint(e.start),n=this.distanceToPoint(e.end);return t<0&&n>0||n<0&&t>0}intersectsBox(e){return e.intersectsPlane(this)}intersectsSphere(e){return e.intersectsPlane(this)}coplanarPoint(e){return e.copy(this.normal).multiplyScalar(-this.constant)}applyMatrix4(e,t){let n=t||Jv.getNormalMatrix(e),s=this.coplanarPoint(Lu).applyMatrix4(e),r=this.normal.applyMatrix3(n).normalize();return this.constant=-s.dot(r),this}translate(e){return this.constant-=e.dot(this.normal),this}equals(e){return e.normal.equals(this.normal)&&e.constant===this.constant}clone(){return new this.constructor().copy(this)}toJSON(){return{normal:this.normal.toArray(),constant:this.constant}}fromJSON(e){return this.normal.fromArray(e.normal),this.constant=e.constant,this}},Kv=0,xs=class extends Zi{constructor(){super(),this.isMaterial=!0,Object.defineProperty(this,"id",{value:Kv++}),this.uuid=wo(),this.name="",this.type="Material",this.blending=ua,this.side=Ws,this.vertexColors=!1,this.opacity=1,this.transparent=!1,this.alphaHash=!1,this.blendSrc=$u,this.blendDst=Zu,this.blendEquation=hr,this.blendSrcAlpha=null,this.blendDstAlpha=null,this.blendEquationAlpha=null,this.blendColor=new st(0,0,0),this.blendAlpha=0,this.depthFunc=ta,this.depthTest=!0,this.depthWrite=!0,this.stencilWriteMask=255,this.stencilFunc=Ym,this.stencilRef=0,this.stencilFuncMask=255,this.stencilFail=Qr,this.stencilZFail=Qr,this.stencilZPass=Qr,this.stencilWrite=!1,this.clippingPlanes=null,this.clipIntersection=!1,this.clipShadows=!1,this.shadowSide=null,this.colorWrite=!0,this.precision=null,this.polygonOffset=!1,this.polygonOffsetFactor=0,this.polygonOffsetUnits=0,this.dithering=!1,this.alphaToCoverage=!1,this.premultipliedAlpha=!1,this.forceSinglePass=!1,this.allowOverride=!0,this.visible=!0,this.toneMapped=!0,this.userData={},this.version=0,this._alphaTest=0}get alphaTest(){return this._alphaTest}set alphaTest(e){this._alphaTest>0!=e>0&&this.version++,this._alphaTest=e}onBeforeRender(){}onBeforeCompile(){}customProgramCacheKey(){return this.onBeforeCompile.toString()}setValues(e){if(e!==void 0)for(let t in e){let n=e[t];if(n===void 0){$e(`Material: parameter '${t}' has value of undefined.`);continue}let s=this[t];if(s===void 0){$e(`Material: '${t}' is not a property of THREE.${this.type}.`);continue}s&&s.isColor?s.set(n):s&&s.isVector2&&n&&n.isVector2||s&&s.isEuler&&n&&n.isEuler||s&&s.isVector3&&n&&n.isVector3?s.copy(n):this[t]=n}}toJSON(e){let t=e===void 0||typeof e=="string";t&&(e={textures:{},images:{}});let n={metadata:{version:4.7,type:"Material",generator:"Material.toJSON"}};n.uuid=this.uuid,n.type=this.type,n.blending=this.blending,n.side=this.side,n.shadowSide=this.shadowSide,n.vertexColors=this.vertexColors,n.opacity=this.opacity,n.transparent=this.transparent,n.blendSrc=this.blendSrc,n.blendDst=this.blendDst,n.blendEquation=this.blendEquation,n.blendSrcAlpha=this.blendSrcAlpha,n.blendDstAlpha=this.blendDstAlpha,n.blendEquationAlpha=this.blendEquationAlpha,n.blendColor=this.blendColor.getHex(),n.blendAlpha=this.blendAlpha,n.depthFunc=this.depthFunc,n.depthTest=this.depthTest,n.depthWrite=this.depthWrite,n.colorWrite=this.colorWrite,n.clipIntersection=this.clipIntersection,n.clipShadows=this.clipShadows,n.stencilWriteMask=this.stencilWriteMask,n.stencilFunc=this.stencilFunc,n.stencilRef=this.stencilRef,n.stencilFuncMask=this.stencilFuncMask,n.stencilFail=this.stencilFail,n.stencilZFail=this.stencilZFail,n.stencilZPass=this.stencilZPass,n.stencilWrite=this.stencilWrite,n.polygonOffset=this.polygonOffset,n.polygonOffsetFactor=this.polygonOffsetFactor,n.polygonOffsetUnits=this.polygonOffsetUnits,n.dithering=this.dithering,n.alphaTest=this.alphaTest,n.alphaHash=this.alphaHash,n.alphaToCoverage=this.alphaToCoverage,n.premultipliedAlpha=this.premultipliedAlpha,n.forceSinglePass=this.forceSinglePass,n.allowOverride=this.allowOverride,n.visible=this.visible,n.toneMapped=this.toneMapped,n.name=this.name,this.color&&this.color.isColor&&(n.color=this.color.getHex()),this.roughness!==void 0&&(n.roughness=this.roughness),this.metalness!==void 0&&(n.metalness=this.metalness),this.sheen!==void 0&&(n.sheen=this.sheen),this.sheenColor&&this.sheenColor.isColor&&(n.sheenColor=this.sheenColor.getHex()),this.sheenRoughness!==void 0&&(n.sheenRoughness=this.sheenRoughness),this.emissive&&this.emissive.isColor&&(n.emissive=this.emissive.getHex()),this.emissiveIntensity!==void 0&&(n.emissiveIntensity=this.emissiveIntensity),this.specular&&this.specular.isColor&&(n.specular=this.specular.getHex()),this.specularIntensity!==void 0&&(n.specularIntensity=this.specularIntensity),this.specularColor&&this.specularColor.isColor&&(n.specularColor=this.specularColor.getHex()),this.shininess!==void 0&&(n.shininess=this.shininess),this.clearcoat!==void 0&&(n.clearcoat=this.clearcoat),this.clearcoatRoughness!==void 0&&(n.clearcoatRoughness=this.clearcoatRoughness),this.diffuseRoughness!==void 0&&(n.diffuseRoughness=this.diffuseRoughness),this.diffuseRoughnessMap&&this.diffuseRoughnessMap.isTexture&&(n.diffuseRoughnessMap=this.diffuseRoughnessMap.toJSON(e).uuid),this.clearcoatMap&&this.clearcoatMap.isTexture&&(n.clearcoatMap=this.clearcoatMap.toJSON(e).uuid),this.clearcoatRoughnessMap&&this.clearcoatRoughnessMap.isTexture&&(n.clearcoatRoughnessMap=this.clearcoatRoughnessMap.toJSON(e).uuid),this.clearcoatNormalMap&&this.clearcoatNormalMap.isTexture&&(n.clearcoatNormalMap=this.clearcoatNormalMap.toJSON(e).uuid,n.clearcoatNormalScale=this.clearcoatNormalScale.toArray()),this.sheenColorMap&&this.sheenColorMap.isTexture&&(n.sheenColorMap=this.sheenColorMap.toJSON(e).uuid),this.sheenRoughnessMap&&this.sheenRoughnessMap.isTexture&&(n.sheenRoughnessMap=this.sheenRoughnessMap.toJSON(e).uuid),this.dispersion!==void 0&&(n.dispersion=this.dispersion),this.retroreflectivity!==void 0&&(n.retroreflectivity=this.retroreflectivity),this.iridescence!==void 0&&(n.iridescence=this.iridescence),this.iridescenceIOR!==void 0&&(n.iridescenceIOR=this.iridescenceIOR),this.iridescenceThicknessMinimum!==void 0&&(n.iridescenceThicknessMinimum=this.iridescenceThicknessMinimum),this.iridescenceThicknessMaximum!==void 0&&(n.iridescenceThicknessMaximum=this.iridescenceThicknessMaximum),this.iridescenceMap&&this.iridescenceMap.isTexture&&(n.iridescenceMap=this.iridescenceMap.toJSON(e).uuid),this.iridescenceThicknessMap&&this.iridescenceThicknessMap.isTexture&&(n.iridescenceThicknessMap=this.iridescenceThicknessMap.toJSON(e).uuid),this.anisotropy!==void 0&&(n.anisotropy=this.anisotropy),this.anisotropyRotation!==void 0&&(n.anisotropyRotation=this.anisotropyRotation),this.anisotropyMap&&this.anisotropyMap.isTexture&&(n.anisotropyMap=this.anisotropyMap.toJSON(e).uuid),this.map&&this.map.isTexture&&(n.map=this.map.toJSON(e).uuid),this.matcap&&this.matcap.isTexture&&(n.matcap=this.matcap.toJSON(e).uuid),this.alphaMap&&this.alphaMap.isTexture&&(n.alphaMap=this.alphaMap.toJSON(e).uuid),this.lightMap&&this.lightMap.isTexture&&(n.lightMap=this.lightMap.toJSON(e).uuid,n.lightMapIntensity=this.lightMapIntensity),this.aoMap&&this.aoMap.isTexture&&(n.aoMap=this.aoMap.toJSON(e).uuid,n.aoMapIntensity=this.aoMapIntensity),this.bumpMap&&this.bumpMap.isTexture&&(n.bumpMap=this.bumpMap.toJSON(e).uuid,n.bumpScale=this.bumpScale),this.normalMap&&this.normalMap.isTexture&&(n.normalMap=this.normalMap.toJSON(e).uuid,n.normalMapType=this.normalMapType,n.normalScale=this.normalScale.toArray()),this.displacementMap&&this.displacementMap.isTexture&&(n.displacementMap=this.displacementMap.toJSON(e).uuid,n.displacementScale=this.displacementScale,n.displacementBias=this.displacementBias),this.roughnessMap&&this.roughnessMap.isTexture&&(n.roughnessMap=this.roughnessMap.toJSON(e).uuid),this.metalnessMap&&this.metalnessMap.isTexture&&(n.metalnessMap=this.metalnessMap.toJSON(e).uuid),this.emissiveMap&&this.emissiveMap.isTexture&&(n.emissiveMap=this.emissiveMap.toJSON(e).uuid),this.specularMap&&this.specularMap.isTexture&&(n.specularMap=this.specularMap.toJSON(e).uuid),this.specularIntensityMap&&this.specularIntensityMap.isTexture&&(n.specularIntensityMap=this.specularIntensityMap.toJSON(e).uuid),this.specularColorMap&&this.specularColorMap.isTexture&&(n.specularColorMap=this.specularColorMap.toJSON(e).uuid),this.envMap&&this.envMap.isTexture&&(n.envMap=this.envMap.toJSON(e).uuid,this.combine!==void 0&&(n.combine=this.combine)),this.envMapRotation!==void 0&&(n.envMapRotation=this.envMapRotation.toArray()),this.envMapIntensity!==void 0&&(n.envMapIntensity=this.envMapIntensity),this.reflectivity!==void 0&&(n.reflectivity=this.reflectivity),this.refractionRatio!==void 0&&(n.refractionRatio=this.refractionRatio),this.gradientMap&&this.gradientMap.isTexture&&(n.gradientMap=this.gradientMap.toJSON(e).uuid),this.transmission!==void 0&&(n.transmission=this.transmission),this.transmissionMap&&this.transmissionMap.isTexture&&(n.transmissionMap=this.transmissionMap.toJSON(e).uuid),this.thickness!==void 0&&(n.thickness=this.thickness),this.thicknessMap&&this.thicknessMap.isTexture&&(n.thicknessMap=this.thicknessMap.toJSON(e).uuid),this.attenuationDistance!==void 0&&(n.attenuationDistance=this.attenuationDistance),this.attenuationColor!==void 0&&(n.attenuationColor=this.attenuationColor.getHex()),this.size!==void 0&&(n.size=this.size),this.sizeAttenuation!==void 0&&(n.sizeAttenuation=this.sizeAttenuation),Array.isArray(this.clippingPlanes)&&this.clippingPlanes.length>0&&(n.clippingPlanes=this.clippingPlanes.map(r=>r.toJSON())),this.rotation!==void 0&&(n.rotation=this.rotation),this.depthPacking!==void 0&&(n.depthPacking=this.depthPacking),this.linewidth!==void 0&&(n.linewidth=this.linewidth),this.linecap!==void 0&&(n.linecap=this.linecap),this.linejoin!==void 0&&(n.linejoin=this.linejoin),this.dashSize!==void 0&&(n.dashSize=this.dashSize),this.gapSize!==void 0&&(n.gapSize=this.gapSize),this.scale!==void 0&&(n.scale=this.scale),this.wireframe!==void 0&&(n.wireframe=this.wireframe),this.wireframeLinewidth!==void 0&&(n.wireframeLinewidth=this.wireframeLinewidth),this.wireframeLinecap!==void 0&&(n.wireframeLinecap=this.wireframeLinecap),this.wireframeLinejoin!==void 0&&(n.wireframeLinejoin=this.wireframeLinejoin),this.flatShading!==void 0&&(n.flatShading=this.flatShading),this.fog!==void 0&&(n.fog=this.fog),Object.keys(this.userData).length>0&&(n.userData=this.userData);function s(r){let a=[];for(let o in r){let l=r[o];delete l.metadata,a.push(l)}return a}if(t){let r=s(e.textures),a=s(e.images);r.length>0&&(n.textures=r),a.length>0&&(n.images=a)}return n}fromJSON(e,t){if(e.uuid!==void 0&&(this.uuid=e.uuid),e.name!==void 0&&(this.name=e.name),e.color!==void 0&&this.color!==void 0&&this.color.setHex(e.color),e.roughness!==void 0&&(this.roughness=e.roughness),e.metalness!==void 0&&(this.metalness=e.metalness),e.sheen!==void 0&&(this.sheen=e.sheen),e.sheenColor!==void 0&&(this.sheenColor=new st().setHex(e.sheenColor)),e.sheenRoughness!==void 0&&(this.sheenRoughness=e.sheenRoughness),e.emissive!==void 0&&this.emissive!==void 0&&this.emissive.setHex(e.emissive),e.specular!==void 0&&this.specular!==void 0&&this.specular.setHex(e.specular),e.specularIntensity!==void 0&&(this.specularIntensity=e.specularIntensity),e.specularColor!==void 0&&this.specularColor!==void 0&&this.specularColor.setHex(e.specularColor),e.shininess!==void 0&&(this.shininess=e.shininess),e.clearcoat!==void 0&&(this.clearcoat=e.clearcoat),e.clearcoatRoughness!==void 0&&(this.clearcoatRoughness=e.clearcoatRoughness),e.diffuseRoughness!==void 0&&(this.diffuseRoughness=e.diffuseRoughness),e.dispersion!==void 0&&(this.dispersion=e.dispersion),e.retroreflectivity!==void 0&&(this.retroreflectivity=e.retroreflectivity),e.iridescence!==void 0&&(this.iridescence=e.iridescence),e.iridescenceIOR!==void 0&&(this.iridescenceIOR=e.iridescenceIOR),e.iridescenceThicknessMinimum!==void 0&&(this.iridescenceThicknessMinimum=e.iridescenceThicknessMinimum),e.iridescenceThicknessMaximum!==void 0&&(this.iridescenceThicknessMaximum=e.iridescenceThicknessMaximum),e.iridescenceThicknessRange!==void 0&&(this.iridescenceThicknessMinimum=e.iridescenceThicknessRange[0],this.iridescenceThicknessMaximum=e.iridescenceThicknessRange[1]),e.transmission!==void 0&&(this.transmission=e.transmission),e.thickness!==void 0&&(this.thickness=e.thickness),e.attenuationDistance!==void 0&&(this.attenuationDistance=e.attenuationDistance),e.attenuationColor!==void 0&&this.attenuationColor!==void 0&&this.attenuationColor.setHex(e.attenuationColor),e.anisotropy!==void 0&&(this.anisotropy=e.anisotropy),e.anisotropyRotation!==void 0&&(this.anisotropyRotation=e.anisotropyRotation),e.fog!==void 0&&(this.fog=e.fog),e.flatShading!==void 0&&(this.flatShading=e.flatShading),e.blending!==void 0&&(this.blending=e.blending),e.combine!==void 0&&(this.combine=e.combine),e.side!==void 0&&(this.side=e.side),e.shadowSide!==void 0&&(this.shadowSide=e.shadowSide),e.opacity!==void 0&&(this.opacity=e.opacity),e.transparent!==void 0&&(this.transparent=e.transparent),e.alphaTest!==void 0&&(this.alphaTest=e.alphaTest),e.alphaHash!==void 0&&(this.alphaHash=e.alphaHash),e.depthFunc!==void 0&&(this.depthFunc=e.depthFunc),e.depthTest!==void 0&&(this.depthTest=e.depthTest),e.depthWrite!==void 0&&(this.depthWrite=e.depthWrite),e.colorWrite!==void 0&&(this.colorWrite=e.colorWrite),e.clippingPlanes!==void 0&&(this.clippingPlanes=e.clippingPlanes.map(n=>new Fi().fromJSON(n))),e.clipIntersection!==void 0&&(this.clipIntersection=e.clipIntersection),e.clipShadows!==void 0&&(this.clipShadows=e.clipShadows),e.depthPacking!==void 0&&(this.depthPacking=e.depthPacking),e.blendSrc!==void 0&&(this.blendSrc=e.blendSrc),e.blendDst!==void 0&&(this.blendDst=e.blendDst),e.blendEquation!==void 0&&(this.blendEquation=e.blendEquation),e.blendSrcAlpha!==void 0&&(this.blendSrcAlpha=e.blendSrcAlpha),e.blendDstAlpha!==void 0&&(this.blendDstAlpha=e.blendDstAlpha),e.blendEquationAlpha!==void 0&&(this.blendEquationAlpha=e.blendEquationAlpha),e.blendColor!==void 0&&this.blendColor!==void 0&&this.blendColor.setHex(e.blendColor),e.blendAlpha!==void 0&&(this.blendAlpha=e.blendAlpha),e.stencilWriteMask!==void 0&&(this.stencilWriteMask=e.stencilWriteMask),e.stencilFunc!==void 0&&(this.stencilFunc=e.stencilFunc),e.stencilRef!==void 0&&(this.stencilRef=e.stencilRef),e.stencilFuncMask!==void 0&&(this.stencilFuncMask=e.stencilFuncMask),e.stencilFail!==void 0&&(this.stencilFail=e.stencilFail),e.stencilZFail!==void 0&&(this.stencilZFail=e.stencilZFail),e.stencilZPass!==void 0&&(this.stencilZPass=e.stencilZPass),e.stencilWrite!==void 0&&(this.stencilWrite=e.stencilWrite),e.wireframe!==void 0&&(this.wireframe=e.wireframe),e.wireframeLinewidth!==void 0&&(this.wireframeLinewidth=e.wireframeLinewidth),e.wireframeLinecap!==void 0&&(this.wireframeLinecap=e.wireframeLinecap),e.wireframeLinejoin!==void 0&&(this.wireframeLinejoin=e.wireframeLinejoin),e.rotation!==void 0&&(this.rotation=e.rotation),e.linewidth!==void 0&&(this.linewidth=e.linewidth),e.linecap!==void 0&&(this.linecap=e.linecap),e.linejoin!==void 0&&(this.linejoin=e.linejoin),e.dashSize!==void 0&&(this.dashSize=e.dashSize),e.gapSize!==void 0&&(this.gapSize=e.gapSize),e.scale!==void 0&&(this.scale=e.scale),e.polygonOffset!==void 0&&(this.polygonOffset=e.polygonOffset),e.polygonOffsetFactor!==void 0&&(this.polygonOffsetFactor=e.polygonOffsetFactor),e.polygonOffsetUnits!==void 0&&(this.polygonOffsetUnits=e.polygonOffsetUnits),e.dithering!==void 0&&(this.dithering=e.dithering),e.alphaToCoverage!==void 0&&(this.alphaToCoverage=e.alphaToCoverage),e.premultipliedAlpha!==void 0&&(this.premultipliedAlpha=e.premultipliedAlpha),e.forceSinglePass!==void 0&&(this.forceSinglePass=e.forceSinglePass),e.allowOverride!==void 0&&(this.allowOverride=e.allowOverride),e.visible!==void 0&&(this.visible=e.visible),e.toneMapped!==void 0&&(this.toneMapped=e.toneMapped),e.userData!==void 0&&(this.userData=e.userData),e.vertexColors!==void 0&&(typeof e.vertexColors=="number"?this.vertexColors=e.vertexColors>0:this.vertexColors=e.vertexColors),e.size!==void 0&&(this.size=e.size),e.sizeAttenuation!==void 0&&(this.sizeAttenuation=e.sizeAttenuation),e.map!==void 0&&(this.map=t[e.map]||null),e.matcap!==void 0&&(this.matcap=t[e.matcap]||null),e.alphaMap!==void 0&&(this.alphaMap=t[e.alphaMap]||null),e.bumpMap!==void 0&&(this.bumpMap=t[e.bumpMap]||null),e.bumpScale!==void 0&&(this.bumpScale=e.bumpScale),e.normalMap!==void 0&&(this.normalMap=t[e.normalMap]||null),e.normalMapType!==void 0&&(this.normalMapType=e.normalMapType),e.normalScale!==void 0){let n=e.normalScale;Array.isArray(n)===!1&&(n=[n,n]),this.normalScale=new pt().fromArray(n)}return e.displacementMap!==void 0&&(this.displacementMap=t[e.displacementMap]||null),e.displacementScale!==void 0&&(this.displacementScale=e.displacementScale),e.displacementBias!==void 0&&(this.displacementBias=e.displacementBias),e.roughnessMap!==void 0&&(this.roughnessMap=t[e.roughnessMap]||null),e.metalnessMap!==void 0&&(this.metalnessMap=t[e.metalnessMap]||null),e.emissiveMap!==void 0&&(this.emissiveMap=t[e.emissiveMap]||null),e.emissiveIntensity!==void 0&&(this.emissiveIntensity=e.emissiveIntensity),e.specularMap!==void 0&&(this.specularMap=t[e.specularMap]||null),e.specularIntensityMap!==void 0&&(this.specularIntensityMap=t[e.specularIntensityMap]||null),e.specularColorMap!==void 0&&(this.specularColorMap=t[e.specularColorMap]||null),e.envMap!==void 0&&(this.envMap=t[e.envMap]||null),e.envMapRotation!==void 0&&this.envMapRotation.fromArray(e.envMapRotation),e.envMapIntensity!==void 0&&(this.envMapIntensity=e.envMapIntensity),e.reflectivity!==void 0&&(this.reflectivity=e.reflectivity),e.refractionRatio!==void 0&&(this.refractionRatio=e.refractionRatio),e.lightMap!==void 0&&(this.lightMap=t[e.lightMap]||null),e.lightMapIntensity!==void 0&&(this.lightMapIntensity=e.lightMapIntensity),e.aoMap!==void 0&&(this.aoMap=t[e.aoMap]||null),e.aoMapIntensity!==void 0&&(this.aoMapIntensity=e.aoMapIntensity),e.gradientMap!==void 0&&(this.gradientMap=t[e.gradientMap]||null),e.clearcoatMap!==void 0&&(this.clearcoatMap=t[e.clearcoatMap]||null),e.clearcoatRoughnessMap!==void 0&&(this.clearcoatRoughnessMap=t[e.clearcoatRoughnessMap]||null),e.clearcoatNormalMap!==void 0&&(this.clearcoatNormalMap=t[e.clearcoatNormalMap]||null),e.clearcoatNormalScale!==void 0&&(this.clearcoatNormalScale=new pt().fromArray(e.clearcoatNormalScale)),e.diffuseRoughnessMap!==void 0&&(this.diffuseRoughnessMap=t[e.diffuseRoughnessMap]||null),e.iridescenceMap!==void 0&&(this.iridescenceMap=t[e.iridescenceMap]||null),e.iridescenceThicknessMap!==void 0&&(this.iridescenceThicknessMap=t[e.iridescenceThicknessMap]||null),e.transmissionMap!==void 0&&(this.transmissionMap=t[e.transmissionMap]||null),e.thicknessMap!==void 0&&(this.thicknessMap=t[e.thicknessMap]||null),e.anisotropyMap!==void 0&&(this.anisotropyMap=t[e.anisotropyMap]||null),e.sheenColorMap!==void 0&&(this.sheenColorMap=t[e.sheenColorMap]||null),e.sheenRoughnessMap!==void 0&&(this.sheenRoughnessMap=t[e.sheenRoughnessMap]||null),this}clone(){return new this.constructor().copy(this)}copy(e){this.name=e.name,this.blending=e.blending,this.side=e.side,this.vertexColors=e.vertexColors,this.opacity=e.opacity,this.transparent=e.transparent,this.blendSrc=e.blendSrc,this.blendDst=e.blendDst,this.blendEquation=e.blendEquation,this.blendSrcAlpha=e.blendSrcAlpha,this.blendDstAlpha=e.blendDstAlpha,this.blendEquationAlpha=e.blendEquationAlpha,this.blendColor.copy(e.blendColor),this.blendAlpha=e.blendAlpha,this.depthFunc=e.depthFunc,this.depthTest=e.depthTest,this.depthWrite=e.depthWrite,this.stencilWriteMask=e.stencilWriteMask,this.stencilFunc=e.stencilFunc,this.stencilRef=e.stencilRef,this.stencilFuncMask=e.stencilFuncMask,this.stencilFail=e.stencilFail,this.stencilZFail=e.stencilZFail,this.stencilZPass=e.stencilZPass,this.stencilWrite=e.stencilWrite;let t=e.clippingPlanes,n=null;if(t!==null){let s=t.length;n=new Array(s);for(let r=0;r!==s;++r)n[r]=t[r].clone()}return this.clippingPlanes=n,this.clipIntersection=e.clipIntersection,this.clipShadows=e.clipShadows,this.shadowSide=e.shadowSide,this.colorWrite=e.colorWrite,this.precision=e.precision,this.polygonOffset=e.polygonOffset,this.polygonOffsetFactor=e.polygonOffsetFactor,this.polygonOffsetUnits=e.polygonOffsetUnits,this.dithering=e.dithering,this.alphaTest=e.alphaTest,this.alphaHash=e.alphaHash,this.alphaToCoverage=e.alphaToCoverage,this.premultipliedAlpha=e.premultipliedAlpha,this.forceSinglePass=e.forceSinglePass,this.allowOverride=e.allowOverride,this.visible=e.visible,this.toneMapped=e.toneMapped,this.userData=JSON.parse(JSON.stringify(e.userData)),this}dispose(){this.dispatchEvent({type:"dispose"})}set needsUpdate(e){e===!0&&this.version++}};var ps=new Z,Nu=new Z,_l=new Z,vl=new Z,Qa=class{constructor(e=new Z,t=new Z(0,0,-1)){this.origin=e,this.direction=t}set(e,t){return this.origin.copy(e),this.direction.copy(t),this}copy(e){return this.origin.copy(e.origin),this.direction.copy(e.direction),this}at(e,t){return t.copy(this.origin).addScaledVector(this.direction,e)}lookAt(e){return this.direction.copy(e).sub(this.origin).normalize(),this}recast(e){return this.origin.copy(this.at(e,ps)),this}closestPointToPoint(e,t){t.subVectors(e,this.origin);let n=t.dot(this.direction);return n<0?t.copy(this.origin):t.copy(this.origin).addScaledVector(this.direction,n)}distanceToPoint(e){return Math.sqrt(this.distanceSqToPoint(e))}distanceSqToPoint(e){let t=ps.subVectors(e,this.origin).dot(this.direction);return t<0?this.origin.distanceToSquared(e):(ps.copy(this.origin).addScaledVector(this.direction,t),ps.distanceToSquared(e))}distanceSqToSegment(e,t,n,s){Nu.copy(e).add(t).multiplyScalar(.5),_l.copy(t).sub(e).normalize(),vl.copy(this.origin).sub(Nu);let r=e.distanceTo(t)*.5,a=-this.direction.dot(_l),o=vl.dot(this.direction),l=-vl.dot(_l),c=vl.lengthSq(),u=Math.abs(1-a*a),d,h,f,g;if(u>0)if(d=a*l-o,h=a*o-l,g=r*u,d>=0)if(h>=-g)if(h<=g){let b=1/u;d*=b,h*=b,f=d*(d+a*h+2*o)+h*(a*d+h+2*l)+c}else h=r,d=Math.max(0,-(a*h+o)),f=-d*d+h*(h+2*l)+c;else h=-r,d=Math.max(0,-(a*h+o)),f=-d*d+h*(h+2*l)+c;else h<=-g?(d=Math.max(0,-(-a*r+o)),h=d>0?-r:Math.min(Math.max(-r,-l),r),f=-d*d+h*(h+2*l)+c):h<=g?(d=0,h=Math.min(Math.max(-r,-l),r),f=h*(h+2*l)+c):(d=Math.max(0,-(a*r+o)),h=d>0?r:Math.min(Math.max(-r,-l),r),f=-d*d+h*(h+2*l)+c);else h=a>0?-r:r,d=Math.max(0,-(a*h+o)),f=-d*d+h*(h+2*l)+c;return n&&n.copy(this.origin).addScaledVector(this.direction,d),s&&s.copy(Nu).addScaledVector(_l,h),f}intersectSphere(e,t){if(e.radius<0)return null;ps.subVectors(e.center,this.origin);let n=ps.dot(this.direction),s=ps.dot(ps)-n*n,r=e.radius*e.radius;if(s>r)return null;let a=Math.sqrt(r-s),o=n-a,l=n+a;return l<0?null:o<0?this.at(l,t):this.at(o,t)}intersectsSphere(e){return e.radius<0?!1:this.distanceSqToPoint(e.center)<=e.radius*e.radius}distanceToPlane(e){let t=e.normal.dot(this.direction);if(t===0)return e.distanceToPoint(this.origin)===0?0:null;let n=-(this.origin.dot(e.normal)+e.constant)/t;return n>=0?n:null}intersectPlane(e,t){let n=this.distanceToPlane(e);return n===null?null:this.at(n,t)}intersectsPlane(e){let t=e.distanceToPoint(this.origin);return t===0||e.normal.dot(this.direction)*t<0}intersectBox(e,t){let n,s,r,a,o,l,c=1/this.direction.x,u=1/this.direction.y,d=1/this.direction.z,h=this.origin;return c>=0?(n=(e.min.x-h.x)*c,s=(e.max.x-h.x)*c):(n=(e.max.x-h.x)*c,s=(e.min.x-h.x)*c),u>=0?(r=(e.min.y-h.y)*u,a=(e.max.y-h.y)*u):(r=(e.max.y-h.y)*u,a=(e.min.y-h.y)*u),n>a||r>s||((r>n||isNaN(n))&&(n=r),(a<s||isNaN(s))&&(s=a),d>=0?(o=(e.min.z-h.z)*d,l=(e.max.z-h.z)*d):(o=(e.max.z-h.z)*d,l=(e.min.z-h.z)*d),n>l||o>s)||((o>n||n!==n)&&(n=o),(l<s||s!==s)&&(s=l),s<0)?null:this.at(n>=0?n:s,t)}intersectsBox(e){return this.intersectBox(e,ps)!==null}intersectTriangle(e,t,n,s,r){let a=this.origin,o=this.direction,l=o.x,c=o.y,u=o.z,d=e.x-a.x,h=e.y-a.y,f=e.z-a.z,g=t.x-a.x,b=t.y-a.y,m=t.z-a.z,p=n.x-a.x,x=n.y-a.y,A=n.z-a.z,S=Math.abs(l),R=Math.abs(c),E=Math.abs(u),v,T,B,F,L,z,G,N,H,Y,W,ce;if(S>=R&&S>=E?(B=l,z=d,H=g,ce=p,l>=0?(v=c,T=u,F=h,L=f,G=b,N=m,Y=x,W=A):(v=u,T=c,F=f,L=h,G=m,N=b,Y=A,W=x)):R>=E?(B=c,z=h,H=b,ce=x,c>=0?(v=u,T=l,F=f,L=d,G=m,N=g,Y=A,W=p):(v=l,T=u,F=d,L=f,G=g,N=m,Y=p,W=A)):(B=u,z=f,H=m,ce=A,u>=0?(v=l,T=c,F=d,L=h,G=g,N=b,Y=p,W=x):(v=c,T=l,F=h,L=d,G=b,N=g,Y=x,W=p)),B===0)return null;let K=v/B,Q=T/B,se=1/B,de=F-K*z,ue=L-Q*z,ee=G-K*H,me=N-Q*H,ve=Y-K*ce,Ae=W-Q*ce,Se=ve*me-Ae*ee,He=de*Ae-ue*ve,nt=ee*ue-me*de;if(s){if(Se<0||He<0||nt<0)return null}else if((Se<0||He<0||nt<0)&&(Se>0||He>0||nt>0))return null;let Ve=Se+He+nt;if(Ve===0)return null;let ht=se*(Se*z+He*H+nt*ce);return(Ve>0?ht<0:ht>0)?null:this.at(ht/Ve,r)}applyMatrix4(e){return this.origin.applyMatrix4(e),this.direction.transformDirection(e),this}equals(e){return e.origin.equals(this.origin)&&e.direction.equals(this.direction)}clone(){return new this.constructor().copy(this)}},aa=class extends xs{constructor(e){super(),this.isMeshBasicMaterial=!0,this.type="MeshBasicMaterial",this.color=new st(16777215),this.map=null,this.lightMap=null,this.lightMapIntensity=1,this.aoMap=null,this.aoMapIntensity=1,this.specularMap=null,this.alphaMap=null,this.envMap=null,this.envMapRotation=new _s,this.combine=uc,this.reflectivity=1,this.refractionRatio=.98,this.wireframe=!1,this.wireframeLinewidth=1,this.wireframeLinecap="round",this.wireframeLinejoin="round",this.fog=!0,this.setValues(e)}copy(e){return super.copy(e),this.color.copy(e.color),this.map=e.map,this.lightMap=e.lightMap,this.lightMapIntensity=e.lightMapIntensity,this.aoMap=e.aoMap,this.aoMapIntensity=e.aoMapIntensity,this.specularMap=e.specularMap,this.alphaMap=e.alphaMap,this.envMap=e.envMap,this.envMapRotation.copy(e.envMapRotation),this.combine=e.combine,this.reflectivity=e.reflectivity,this.refractionRatio=e.refractionRatio,this.wireframe=e.wireframe,this.wireframeLinewidth=e.wireframeLinewidth,this.wireframeLinecap=e.wireframeLinecap,this.wireframeLinejoin=e.wireframeLinejoin,this.fog=e.fog,this}},am=new St,ir=new Qa,xl=new vs,om=new Z,yl=new Z,bl=new Z,Sl=new Z,Du=new Z,Ml=new Z,lm=new Z,wl=new Z,Kn=class extends Ln{constructor(e=new Jn,t=new aa){super(),this.isMesh=!0,this.type="Mesh",this.geometry=e,this.material=t,this.morphTargetDictionary=void 0,this.morphTargetInfluences=void 0,this.count=1,this.updateMorphTargets()}copy(e,t){return super.copy(e,t),e.morphTargetInfluences!==void 0?this.morphTargetInfluences=e.morphTargetInfluences.slice():this.morphTargetInfluences=void 0,e.morphTargetDictionary!==void 0?this.morphTargetDictionary=Object.assign({},e.morphTargetDictionary):this.morphTargetDictionary=void 0,this.material=Array.isArray(e.material)?e.material.slice():e.material,this.geometry=e.geometry,this}updateMorphTargets(){let t=this.geometry.morphAttributes,n=Object.keys(t);if(n.length>0){let s=t[n[0]];if(s!==void 0){this.morphTargetInfluences=[],this.morphTargetDictionary={};for(let r=0,a=s.length;r<a;r++){let o=s[r].name||String(r);this.morphTargetInfluences.push(0),this.morphTargetDictionary[o]=r}}}}getVertexPosition(e,t){let n=this.geometry,s=n.attributes.position,r=n.morphAttributes.position,a=n.morphTargetsRelative;t.fromBufferAttribute(s,e);let o=this.morphTargetInfluences;if(r&&o){Ml.set(0,0,0);for(let l=0,c=r.length;l<c;l++){let u=o[l],d=r[l];u!==0&&(Du.fromBufferAttribute(d,e),a?Ml.addScaledVector(Du,u):Ml.addScaledVector(Du.sub(t),u))}t.add(Ml)}return t}intersectsFrustum(e){return e.intersectsObject(this)}raycast(e,t){let n=this.geometry,s=this.material,r=this.matrixWorld;s!==void 0&&(n.boundingSphere===null&&n.computeBoundingSphere(),xl.copy(n.boundingSphere),xl.applyMatrix4(r),ir.copy(e.ray).recast(e.near),!(xl.containsPoint(ir.origin)===!1&&(ir.intersectSphere(xl,om)===null||ir.origin.distanceToSquared(om)>(e.far-e.near)**2))&&(am.copy(r).invert(),ir.copy(e.ray).applyMatrix4(am),!(n.boundingBox!==null&&ir.intersectsBox(n.boundingBox)===!1)&&this._computeIntersections(e,t,ir)))}_computeIntersections(e,t,n){let s,r=this.geometry,a=this.material,o=r.index,l=r.attributes.position,c=r.attributes.uv,u=r.attributes.uv1,d=r.attributes.normal,h=r.groups,f=r.drawRange;if(o!==null)if(Array.isArray(a))for(let g=0,b=h.length;g<b;g++){let m=h[g],p=a[m.materialIndex],x=Math.max(m.start,f.start),A=Math.min(o.count,Math.min(m.start+m.count,f.start+f.count));for(let S=x,R=A;S<R;S+=3){let E=o.getX(S),v=o.getX(S+1),T=o.getX(S+2);s=Tl(this,p,e,n,c,u,d,E,v,T),s&&(s.faceIndex=Math.floor(S/3),s.face.materialIndex=m.materialIndex,t.push(s))}}else{let g=Math.max(0,f.start),b=Math.min(o.count,f.start+f.count);for(let m=g,p=b;m<p;m+=3){let x=o.getX(m),A=o.getX(m+1),S=o.getX(m+2);s=Tl(this,a,e,n,c,u,d,x,A,S),s&&(s.faceIndex=Math.floor(m/3),t.push(s))}}else if(l!==void 0)if(Array.isArray(a))for(let g=0,b=h.length;g<b;g++){let m=h[g],p=a[m.materialIndex],x=Math.max(m.start,f.start),A=Math.min(l.count,Math.min(m.start+m.count,f.start+f.count));for(let S=x,R=A;S<R;S+=3){let E=S,v=S+1,T=S+2;s=Tl(this,p,e,n,c,u,d,E,v,T),s&&(s.faceIndex=Math.floor(S/3),s.face.materialIndex=m.materialIndex,t.push(s))}}else{let g=Math.max(0,f.start),b=Math.min(l.count,f.start+f.count);for(let m=g,p=b;m<p;m+=3){let x=m,A=m+1,S=m+2;s=Tl(this,a,e,n,c,u,d,x,A,S),s&&(s.faceIndex=Math.floor(m/3),t.push(s))}}}};function jv(i,e,t,n,s,r,a,o){let l;if(e.side===qn?l=n.intersectTriangle(a,r,s,!0,o):l=n.intersectTriangle(s,r,a,e.side===Ws,o),l===null)return null;wl.copy(o),wl.applyMatrix4(i.matrixWorld);let c=t.ray.origin.distanceTo(wl);return c<t.near||c>t.far?null:{distance:c,point:wl.clone(),object:i}}function Tl(i,e,t,n,s,r,a,o,l,c){i.getVertexPosition(o,yl),i.getVertexPosition(l,bl),i.getVertexPosition(c,Sl);let u=jv(i,e,t,n,yl,bl,Sl,lm);if(u){let d=new Z;ks.getBarycoord(lm,yl,bl,Sl,d),s&&(u.uv=ks.getInterpolatedAttribute(s,o,l,c,d,new pt)),r&&(u.uv1=ks.getInterpolatedAttribute(r,o,l,c,d,new pt)),a&&(u.normal=ks.getInterpolatedAttribute(a,o,l,c,d,new Z),u.normal.dot(n.direction)>0&&u.normal.multiplyScalar(-1));let h={a:o,b:l,c,normal:new Z,materialIndex:0};ks.getNormal(yl,bl,Sl,h.normal),u.face=h,u.barycoord=d}return u}var eo=class extends Zn{constructor(e=null,t=1,n=1,s,r,a,o,l,c=Cn,u=Cn,d,h){super(null,a,o,l,c,u,s,r,d,h),this.isDataTexture=!0,this.image={data:e,width:t,height:n},this.generateMipmaps=!1,this.flipY=!1,this.unpackAlignment=1}};var to=class extends Wn{constructor(e,t,n,s=1){super(e,t,n),this.isInstancedBufferAttribute=!0,this.meshPerAttribute=s}copy(e){return super.copy(e),this.meshPerAttribute=e.meshPerAttribute,this}toJSON(){let e=super.toJSON();return e.meshPerAttribute=this.meshPerAttribute,e.isInstancedBufferAttribute=!0,e}},Zr=new St,cm=new St,El=[],hm=new Ji,Qv=new St,Ga=new Kn,Ha=new vs,or=class extends Kn{constructor(e,t,n){super(e,t),this.isInstancedMesh=!0,this.instanceMatrix=new to(new Float32Array(n*16),16),this.instanceColor=null,this.morphTexture=null,this.count=n,this.boundingBox=null,this.boundingSphere=null;for(let s=0;s<n;s++)this.setMatrixAt(s,Qv)}computeBoundingBox(){let e=this.geometry,t=this.count;this.boundingBox===null&&(this.boundingBox=new Ji),e.boundingBox===null&&e.computeBoundingBox(),this.boundingBox.makeEmpty();for(let n=0;n<t;n++)this.getMatrixAt(n,Zr),hm.copy(e.boundingBox).applyMatrix4(Zr),this.boundingBox.union(hm)}computeBoundingSphere(){let e=this.geometry,t=this.count;this.boundingSphere===null&&(this.boundingSphere=new vs),e.boundingSphere===null&&e.computeBoundingSphere(),this.boundingSphere.makeEmpty();for(let n=0;n<t;n++)this.getMatrixAt(n,Zr),Ha.copy(e.boundingSphere).applyMatrix4(Zr),this.boundingSphere.union(Ha)}copy(e,t){return super.copy(e,t),this.instanceMatrix.copy(e.instanceMatrix),this.morphTexture=e.morphTexture!==null?e.morphTexture.clone():null,this.instanceColor=e.instanceColor!==null?e.instanceColor.clone():null,this.count=e.count,this.boundingBox=e.boundingBox!==null?e.boundingBox.clone():null,this.boundingSphere=e.boundingSphere!==null?e.boundingSphere.clone():null,this}getColorAt(e,t){return this.instanceColor===null?t.setRGB(1,1,1):t.fromArray(this.instanceColor.array,e*3)}getMatrixAt(e,t){return t.fromArray(this.instanceMatrix.array,e*16)}getMorphAt(e,t){let n=t.morphTargetInfluences,s=this.morphTexture.source.data.data,r=n.length+1,a=e*r+1;for(let o=0;o<n.length;o++)n[o]=s[a+o]}raycast(e,t){let n=this.matrixWorld,s=this.count;if(Ga.geometry=this.geometry,Ga.material=this.material,Ga.material!==void 0&&(this.boundingSphere===null&&this.computeBoundingSphere(),Ha.copy(this.boundingSphere),Ha.applyMatrix4(n),e.ray.intersectsSphere(Ha)!==!1))for(let r=0;r<s;r++){this.getMatrixAt(r,Zr),cm.multiplyMatrices(n,Zr),Ga.matrixWorld=cm,Ga.raycast(e,El);for(let a=0,o=El.length;a<o;a++){let l=El[a];l.instanceId=r,l.object=this,t.push(l)}El.length=0}}setColorAt(e,t){return this.instanceColor===null&&(this.instanceColor=new to(new Float32Array(this.instanceMatrix.count*3).fill(1),3)),t.toArray(this.instanceColor.array,e*3),this}setMatrixAt(e,t){return t.toArray(this.instanceMatrix.array,e*16),this}setMorphAt(e,t){let n=t.morphTargetInfluences,s=n.length+1;this.morphTexture===null&&(this.morphTexture=new eo(new Float32Array(s*this.count),s,this.count,vc,wi));let r=this.morphTexture.source.data.data,a=0;for(let c=0;c<n.length;c++)a+=n[c];let o=this.geometry.morphTargetsRelative?1:1-a,l=s*e;return r[l]=o,r.set(n,l+1),this}updateMorphTargets(){}dispose(){super.dispose(),this.instanceMatrix.dispose(),this.instanceColor!==null&&this.instanceColor.dispose(),this.morphTexture!==null&&(this.morphTexture.dispose(),this.morphTexture=null)}},sr=new vs,ex=new pt(.5,.5),Al=new Z,zs=class{constructor(e=new Fi,t=new Fi,n=new Fi,s=new Fi,r=new Fi,a=new Fi){this.planes=[e,t,n,s,r,a]}set(e,t,n,s,r,a){let o=this.planes;return o[0].copy(e),o[1].copy(t),o[2].copy(n),o[3].copy(s),o[4].copy(r),o[5].copy(a),this}copy(e){let t=this.planes;for(let n=0;n<6;n++)t[n].copy(e.planes[n]);return this}setFromProjectionMatrix(e,t=Si,n=!1){let s=this.planes,r=e.elements,a=r[0],o=r[1],l=r[2],c=r[3],u=r[4],d=r[5],h=r[6],f=r[7],g=r[8],b=r[9],m=r[10],p=r[11],x=r[12],A=r[13],S=r[14],R=r[15];if(s[0].setComponents(c-a,f-u,p-g,R-x).normalize(),s[1].setComponents(c+a,f+u,p+g,R+x).normalize(),s[2].setComponents(c+o,f+d,p+b,R+A).normalize(),s[3].setComponents(c-o,f-d,p-b,R-A).normalize(),n)s[4].setComponents(l,h,m,S).normalize(),s[5].setComponents(c-l,f-h,p-m,R-S).normalize();else if(s[4].setComponents(c-l,f-h,p-m,R-S).normalize(),t===Si)s[5].setComponents(c+l,f+h,p+m,R+S).normalize();else if(t===na)s[5].setComponents(l,h,m,S).normalize();else throw new Error("THREE.Frustum.setFromProjectionMatrix(): Invalid coordinate system: "+t);return this}intersectsObject(e){if(e.boundingSphere!==void 0)e.boundingSphere===null&&e.computeBoundingSphere(),sr.copy(e.boundingSphere).applyMatrix4(e.matrixWorld);else{let t=e.geometry;t.boundingSphere===null&&t.computeBoundingSphere(),sr.copy(t.boundingSphere).applyMatrix4(e.matrixWorld)}return this.intersectsSphere(sr)}intersectsSprite(e){sr.center.set(0,0,0);let t=ex.distanceTo(e.center);return sr.radius=.7071067811865476+t,sr.applyMatrix4(e.matrixWorld),this.intersectsSphere(sr)}intersectsSphere(e){let t=this.planes,n=e.center,s=-e.radius;for(let r=0;r<6;r++)if(t[r].distanceToPoint(n)<s)return!1;return!0}intersectsBox(e){let t=this.planes;for(let n=0;n<6;n++){let s=t[n];if(Al.x=s.normal.x>0?e.max.x:e.min.x,Al.y=s.normal.y>0?e.max.y:e.min.y,Al.z=s.normal.z>0?e.max.z:e.min.z,s.distanceToPoint(Al)<0)return!1}return!0}containsPoint(e){let t=this.planes;for(let n=0;n<6;n++)if(t[n].distanceToPoint(e)<0)return!1;return!0}clone(){return new this.constructor().copy(this)}},um=new St,$l=class i{constructor(){this.coordinateSystem=Si,this._frustums=[],this._count=0}setFromArrayCamera(e){let t=e.cameras,n=this._frustums;for(let s=0;s<t.length;s++){let r=t[s];um.multiplyMatrices(r.projectionMatrix,r.matrixWorldInverse),n[s]===void 0&&(n[s]=new zs),n[s].setFromProjectionMatrix(um,r.coordinateSystem,r.reversedDepth)}return this._count=t.length,this}getFrustum(e){return this._frustums[e]}intersectsObject(e){let t=this._frustums;for(let n=0;n<this._count;n++)if(t[n].intersectsObject(e))return!0;return!1}intersectsSprite(e){let t=this._frustums;for(let n=0;n<this._count;n++)if(t[n].intersectsSprite(e))return!0;return!1}intersectsSphere(e){let t=this._frustums;for(let n=0;n<this._count;n++)if(t[n].intersectsSphere(e))return!0;return!1}intersectsBox(e){let t=this._frustums;for(let n=0;n<this._count;n++)if(t[n].intersectsBox(e))return!0;return!1}containsPoint(e){let t=this._frustums;for(let n=0;n<this._count;n++)if(t[n].containsPoint(e))return!0;return!1}copy(e){this.coordinateSystem=e.coordinateSystem;let t=this._frustums,n=e._frustums;for(let s=0;s<e._count;s++)t[s]===void 0&&(t[s]=new zs),t[s].copy(n[s]);return this._count=e._count,this}clone(){return new i().copy(this)}};var Zl=class extends xs{constructor(e){super(),this.isPointsMaterial=!0,this.type="PointsMaterial",this.color=new st(16777215),this.map=null,this.alphaMap=null,this.size=1,this.sizeAttenuation=!0,this.fog=!0,this.setValues(e)}copy(e){return super.copy(e),this.color.copy(e.color),this.map=e.map,this.alphaMap=e.alphaMap,this.size=e.size,this.sizeAttenuation=e.sizeAttenuation,this.fog=e.fog,this}},dm=new St,zu=new Qa,Cl=new vs,Rl=new Z,no=class extends Ln{constructor(e=new Jn,t=new Zl){super(),this.isPoints=!0,this.type="Points",this.geometry=e,this.material=t,this.morphTargetDictionary=void 0,this.morphTargetInfluences=void 0,this.updateMorphTargets()}copy(e,t){return super.copy(e,t),e.morphTargetInfluences!==void 0?this.morphTargetInfluences=e.morphTargetInfluences.slice():this.morphTargetInfluences=void 0,e.morphTargetDictionary!==void 0?this.morphTargetDictionary=Object.assign({},e.morphTargetDictionary):this.morphTargetDictionary=void 0,this.material=Array.isArray(e.material)?e.material.slice():e.material,this.geometry=e.geometry,this}intersectsFrustum(e){return e.intersectsObject(this)}raycast(e,t){let n=this.geometry,s=this.matrixWorld,r=e.params.Points.threshold,a=n.drawRange;if(n.boundingSphere===null&&n.computeBoundingSphere(),Cl.copy(n.boundingSphere),Cl.applyMatrix4(s),Cl.radius+=r,e.ray.intersectsSphere(Cl)===!1)return;dm.copy(s).invert(),zu.copy(e.ray).applyMatrix4(dm);let o=r/((this.scale.x+this.scale.y+this.scale.z)/3),l=o*o,c=n.index,d=n.attributes.position;if(c!==null){let h=Math.max(0,a.start),f=Math.min(c.count,a.start+a.count);for(let g=h,b=f;g<b;g++){let m=c.getX(g);Rl.fromBufferAttribute(d,m),fm(Rl,m,l,s,e,t,this)}}else{let h=Math.max(0,a.start),f=Math.min(d.count,a.start+a.count);for(let g=h,b=f;g<b;g++)Rl.fromBufferAttribute(d,g),fm(Rl,g,l,s,e,t,this)}}updateMorphTargets(){let t=this.geometry.morphAttributes,n=Object.keys(t);if(n.length>0){let s=t[n[0]];if(s!==void 0){this.morphTargetInfluences=[],this.morphTargetDictionary={};for(let r=0,a=s.length;r<a;r++){let o=s[r].name||String(r);this.morphTargetInfluences.push(0),this.morphTargetDictionary[o]=r}}}}};function fm(i,e,t,n,s,r,a){let o=zu.distanceSqToPoint(i);if(o<t){let l=new Z;zu.closestPointToPoint(i,l),l.applyMatrix4(n);let c=s.ray.origin.distanceTo(l);if(c<s.near||c>s.far)return;r.push({distance:c,distanceToRay:Math.sqrt(o),point:l,index:e,face:null,faceIndex:null,barycoord:null,object:a})}}var io=class extends Zn{constructor(e=[],t=ur,n,s,r,a,o,l,c,u){super(e,t,n,s,r,a,o,l,c,u),this.isCubeTexture=!0,this.flipY=!1}get images(){return this.image}set images(e){this.image=e}};var ys=class extends Zn{constructor(e,t,n=Ui,s,r,a,o=Cn,l=Cn,c,u=gs,d=1){if(u!==gs&&u!==Ss)throw new Error("THREE.DepthTexture: format must be either THREE.DepthFormat or THREE.DepthStencilFormat");let h={width:e,height:t,depth:d};super(h,s,r,a,o,l,u,n,c),this.isDepthTexture=!0,this.flipY=!1,this.generateMipmaps=!1,this.compareFunction=null}copy(e){return super.copy(e),this.source=new sa(Object.assign({},e.image)),this.compareFunction=e.compareFunction,this}toJSON(e){let t=super.toJSON(e);return t.compareFunction=this.compareFunction,t}},so=class extends ys{constructor(e,t=Ui,n=ur,s,r,a=Cn,o=Cn,l,c=gs){let u={width:e,height:e,depth:1},d=[u,u,u,u,u,u];super(e,e,t,n,s,r,a,o,l,c),this.image=d,this.isCubeDepthTexture=!0,this.isCubeTexture=!0}get images(){return this.image}set images(e){this.image=e}},ro=class extends Zn{constructor(e=null){super(),this.sourceTexture=e,this.isExternalTexture=!0}copy(e){return super.copy(e),this.sourceTexture=e.sourceTexture,this}},oa=class i extends Jn{constructor(e=1,t=1,n=1,s=1,r=1,a=1){super(),this.type="BoxGeometry",this.parameters={width:e,height:t,depth:n,widthSegments:s,heightSegments:r,depthSegments:a};let o=this;s=Math.floor(s),r=Math.floor(r),a=Math.floor(a);let l=[],c=[],u=[],d=[],h=0,f=0;g("z","y","x",-1,-1,n,t,e,a,r,0),g("z","y","x",1,-1,n,t,-e,a,r,1),g("x","z","y",1,1,e,n,t,s,a,2),g("x","z","y",1,-1,e,n,-t,s,a,3),g("x","y","z",1,-1,e,t,n,s,r,4),g("x","y","z",-1,-1,e,t,-n,s,r,5),this.setIndex(l),this.setAttribute("position",new rn(c,3)),this.setAttribute("normal",new rn(u,3)),this.setAttribute("uv",new rn(d,2));function g(b,m,p,x,A,S,R,E,v,T,B){let F=S/v,L=R/T,z=S/2,G=R/2,N=E/2,H=v+1,Y=T+1,W=0,ce=0,K=new Z;for(let Q=0;Q<Y;Q++){let se=Q*L-G;for(let de=0;de<H;de++){let ue=de*F-z;K[b]=ue*x,K[m]=se*A,K[p]=N,c.push(K.x,K.y,K.z),K[b]=0,K[m]=0,K[p]=E>0?1:-1,u.push(K.x,K.y,K.z),d.push(de/v),d.push(1-Q/T),W+=1}}for(let Q=0;Q<T;Q++)for(let se=0;se<v;se++){let de=h+se+H*Q,ue=h+se+H*(Q+1),ee=h+(se+1)+H*(Q+1),me=h+(se+1)+H*Q;l.push(de,ue,me),l.push(ue,ee,me),ce+=6}o.addGroup(f,ce,B),f+=ce,h+=W}}copy(e){return super.copy(e),this.parameters=Object.assign({},e.parameters),this}static fromJSON(e){return new i(e.width,e.height,e.depth,e.widthSegments,e.heightSegments,e.depthSegments)}};var ao=class i extends Jn{constructor(e=1,t=32,n=0,s=Math.PI*2){super(),this.type="CircleGeometry",this.parameters={radius:e,segments:t,thetaStart:n,thetaLength:s},t=Math.max(3,t);let r=[],a=[],o=[],l=[],c=new Z,u=new pt;a.push(0,0,0),o.push(0,0,1),l.push(.5,.5);for(let d=0,h=3;d<=t;d++,h+=3){let f=n+d/t*s;c.x=e*Math.cos(f),c.y=e*Math.sin(f),a.push(c.x,c.y,c.z),o.push(0,0,1),u.x=(a[h]/e+1)/2,u.y=(a[h+1]/e+1)/2,l.push(u.x,u.y)}for(let d=1;d<=t;d++)r.push(d,d+1,0);this.setIndex(r),this.setAttribute("position",new rn(a,3)),this.setAttribute("normal",new rn(o,3)),this.setAttribute("uv",new rn(l,2))}copy(e){return super.copy(e),this.parameters=Object.assign({},e.parameters),this}static fromJSON(e){return new i(e.radius,e.segments,e.thetaStart,e.thetaLength)}},oo=class i extends Jn{constructor(e=1,t=1,n=1,s=32,r=1,a=!1,o=0,l=Math.PI*2){super(),this.type="CylinderGeometry",this.parameters={radiusTop:e,radiusBottom:t,height:n,radialSegments:s,heightSegments:r,openEnded:a,thetaStart:o,thetaLength:l};let c=this;s=Math.floor(s),r=Math.floor(r);let u=[],d=[],h=[],f=[],g=0,b=[],m=n/2,p=0;x(),a===!1&&(e>0&&A(!0),t>0&&A(!1)),this.setIndex(u),this.setAttribute("position",new rn(d,3)),this.setAttribute("normal",new rn(h,3)),this.setAttribute("uv",new rn(f,2));function x(){let S=new Z,R=new Z,E=0,v=(t-e)/n;for(let T=0;T<=r;T++){let B=[],F=T/r,L=F*(t-e)+e;for(let z=0;z<=s;z++){let G=z/s,N=G*l+o,H=Math.sin(N),Y=Math.cos(N);R.x=L*H,R.y=-F*n+m,R.z=L*Y,d.push(R.x,R.y,R.z),S.set(H,v,Y).normalize(),h.push(S.x,S.y,S.z),f.push(G,1-F),B.push(g++)}b.push(B)}for(let T=0;T<s;T++)for(let B=0;B<r;B++){let F=b[B][T],L=b[B+1][T],z=b[B+1][T+1],G=b[B][T+1];(e>0||B!==0)&&(u.push(F,L,G),E+=3),(t>0||B!==r-1)&&(u.push(L,z,G),E+=3)}c.addGroup(p,E,0),p+=E}function A(S){let R=g,E=new pt,v=new Z,T=0,B=S===!0?e:t,F=S===!0?1:-1;for(let z=1;z<=s;z++)d.push(0,m*F,0),h.push(0,F,0),f.push(.5,.5),g++;let L=g;for(let z=0;z<=s;z++){let N=z/s*l+o,H=Math.cos(N),Y=Math.sin(N);v.x=B*Y,v.y=m*F,v.z=B*H,d.push(v.x,v.y,v.z),h.push(0,F,0),E.x=H*.5+.5,E.y=Y*.5*F+.5,f.push(E.x,E.y),g++}for(let z=0;z<s;z++){let G=R+z,N=L+z;S===!0?u.push(N,N+1,G):u.push(N+1,N,G),T+=3}c.addGroup(p,T,S===!0?1:2),p+=T}}copy(e){return super.copy(e),this.parameters=Object.assign({},e.parameters),this}static fromJSON(e){return new i(e.radiusTop,e.radiusBottom,e.height,e.radialSegments,e.heightSegments,e.openEnded,e.thetaStart,e.thetaLength)}};var lo=class i extends Jn{constructor(e=1,t=1,n=1,s=1){super(),this.type="PlaneGeometry",this.parameters={width:e,height:t,widthSegments:n,heightSegments:s};let r=e/2,a=t/2,o=Math.floor(n),l=Math.floor(s),c=o+1,u=l+1,d=e/o,h=t/l,f=[],g=[],b=[],m=[];for(let p=0;p<u;p++){let x=p*h-a;for(let A=0;A<c;A++){let S=A*d-r;g.push(S,-x,0),b.push(0,0,1),m.push(A/o),m.push(1-p/l)}}for(let p=0;p<l;p++)for(let x=0;x<o;x++){let A=x+c*p,S=x+c*(p+1),R=x+1+c*(p+1),E=x+1+c*p;f.push(A,S,E),f.push(S,R,E)}this.setIndex(f),this.setAttribute("position",new rn(g,3)),this.setAttribute("normal",new rn(b,3)),this.setAttribute("uv",new rn(m,2))}copy(e){return super.copy(e),this.parameters=Object.assign({},e.parameters),this}static fromJSON(e){return new i(e.width,e.height,e.widthSegments,e.heightSegments)}};var co=class i extends Jn{constructor(e=1,t=32,n=16,s=0,r=Math.PI*2,a=0,o=Math.PI){super(),this.type="SphereGeometry",this.parameters={radius:e,widthSegments:t,heightSegments:n,phiStart:s,phiLength:r,thetaStart:a,thetaLength:o},t=Math.max(3,Math.floor(t)),n=Math.max(2,Math.floor(n));let l=Math.min(a+o,Math.PI),c=0,u=[],d=new Z,h=new Z,f=[],g=[],b=[],m=[];for(let p=0;p<=n;p++){let x=[],A=p/n,S=a+A*o,R=e*Math.cos(S),E=Math.sqrt(e*e-R*R),v=0;p===0&&a===0?v=.5/t:p===n&&l===Math.PI&&(v=-.5/t);for(let T=0;T<=t;T++){let B=T/t,F=s+B*r;d.x=-E*Math.cos(F),d.y=R,d.z=E*Math.sin(F),g.push(d.x,d.y,d.z),h.copy(d).normalize(),b.push(h.x,h.y,h.z),m.push(B+v,1-A),x.push(c++)}u.push(x)}for(let p=0;p<n;p++)for(let x=0;x<t;x++){let A=u[p][x+1],S=u[p][x],R=u[p+1][x],E=u[p+1][x+1];(p!==0||a>0)&&f.push(A,S,E),(p!==n-1||l<Math.PI)&&f.push(S,R,E)}this.setIndex(f),this.setAttribute("position",new rn(g,3)),this.setAttribute("normal",new rn(b,3)),this.setAttribute("uv",new rn(m,2))}copy(e){return super.copy(e),this.parameters=Object.assign({},e.parameters),this}static fromJSON(e){return new i(e.radius,e.widthSegments,e.heightSegments,e.phiStart,e.phiLength,e.thetaStart,e.thetaLength)}};function fr(i){let e={};for(let t in i){e[t]={};for(let n in i[t]){let s=i[t][n];if(pm(s))s.isRenderTargetTexture?($e("UniformsUtils: Textures of render targets cannot be cloned via cloneUniforms() or mergeUniforms()."),e[t][n]=null):e[t][n]=s.clone();else if(Array.isArray(s))if(pm(s[0])){let r=[];for(let a=0,o=s.length;a<o;a++)r[a]=s[a].clone();e[t][n]=r}else e[t][n]=s.slice();else e[t][n]=s}}return e}function Un(i){let e={};for(let t=0;t<i.length;t++){let n=fr(i[t]);for(let s in n)e[s]=n[s]}return e}function pm(i){return i&&(i.isColor||i.isMatrix3||i.isMatrix4||i.isVector2||i.isVector3||i.isVector4||i.isTexture||i.isQuaternion)}function tx(i){let e=[];for(let t=0;t<i.length;t++)e.push(i[t].clone());return e}function vd(i){let e=i.getRenderTarget();return e===null?i.outputColorSpace:e.isXRRenderTarget===!0?e.texture.colorSpace:vt.workingColorSpace}var ag={clone:fr,merge:Un},nx=`void main() {
	gl_Position = projectionMatrix * modelViewMatrix * vec4( position, 1.0 );
}`,ix=`void main() {
	gl_FragColor = vec4( 1.0, 0.0, 0.0, 1.0 );
}`,jn=class extends xs{constructor(e){super(),this.isShaderMaterial=!0,this.type="ShaderMaterial",this.defines={},this.uniforms={},this.uniformsGroups=[],this.vertexShader=nx,this.fragmentShader=ix,this.linewidth=1,this.wireframe=!1,this.wireframeLinewidth=1,this.fog=!1,this.lights=!1,this.clipping=!1,this.forceSinglePass=!0,this.extensions={clipCullDistance:!1,multiDraw:!1},this.defaultAttributeValues={color:[1,1,1],uv:[0,0],uv1:[0,0]},this.index0AttributeName=void 0,this.uniformsNeedUpdate=!1,this.glslVersion=null,e!==void 0&&this.setValues(e)}copy(e){return super.copy(e),this.fragmentShader=e.fragmentShader,this.vertexShader=e.vertexShader,this.uniforms=fr(e.uniforms),this.uniformsGroups=tx(e.uniformsGroups),this.defines=Object.assign({},e.defines),this.wireframe=e.wireframe,this.wireframeLinewidth=e.wireframeLinewidth,this.fog=e.fog,this.lights=e.lights,this.clipping=e.clipping,this.extensions=Object.assign({},e.extensions),this.glslVersion=e.glslVersion,this.defaultAttributeValues=Object.assign({},e.defaultAttributeValues),this.index0AttributeName=e.index0AttributeName,this.uniformsNeedUpdate=e.uniformsNeedUpdate,this}toJSON(e){let t=super.toJSON(e);t.glslVersion=this.glslVersion,t.uniforms={};for(let s in this.uniforms){let a=this.uniforms[s].value;a&&a.isTexture?t.uniforms[s]={type:"t",value:a.toJSON(e).uuid}:a&&a.isColor?t.uniforms[s]={type:"c",value:a.getHex()}:a&&a.isVector2?t.uniforms[s]={type:"v2",value:a.toArray()}:a&&a.isVector3?t.uniforms[s]={type:"v3",value:a.toArray()}:a&&a.isVector4?t.uniforms[s]={type:"v4",value:a.toArray()}:a&&a.isMatrix3?t.uniforms[s]={type:"m3",value:a.toArray()}:a&&a.isMatrix4?t.uniforms[s]={type:"m4",value:a.toArray()}:t.uniforms[s]={value:a}}Object.keys(this.defines).length>0&&(t.defines=this.defines),t.vertexShader=this.vertexShader,t.fragmentShader=this.fragmentShader,t.lights=this.lights,t.clipping=this.clipping;let n={};for(let s in this.extensions)this.extensions[s]===!0&&(n[s]=!0);return Object.keys(n).length>0&&(t.extensions=n),t}fromJSON(e,t){if(super.fromJSON(e,t),e.uniforms!==void 0)for(let n in e.uniforms){let s=e.uniforms[n];switch(this.uniforms[n]={},s.type){case"t":this.uniforms[n].value=t[s.value]||null;break;case"c":this.uniforms[n].value=new st().setHex(s.value);break;case"v2":this.uniforms[n].value=new pt().fromArray(s.value);break;case"v3":this.uniforms[n].value=new Z().fromArray(s.value);break;case"v4":this.uniforms[n].value=new $t().fromArray(s.value);break;case"m3":this.uniforms[n].value=new Qe().fromArray(s.value);break;case"m4":this.uniforms[n].value=new St().fromArray(s.value);break;default:this.uniforms[n].value=s.value}}if(e.defines!==void 0&&(this.defines=e.defines),e.vertexShader!==void 0&&(this.vertexShader=e.vertexShader),e.fragmentShader!==void 0&&(this.fragmentShader=e.fragmentShader),e.glslVersion!==void 0&&(this.glslVersion=e.glslVersion),e.extensions!==void 0)for(let n in e.extensions)this.extensions[n]=e.extensions[n];return e.lights!==void 0&&(this.lights=e.lights),e.clipping!==void 0&&(this.clipping=e.clipping),this}},Jl=class extends jn{constructor(e){super(e),this.isRawShaderMaterial=!0,this.type="RawShaderMaterial"}};var la=class extends xs{constructor(e){super(),this.isMeshLambertMaterial=!0,this.type="MeshLambertMaterial",this.color=new st(16777215),this.map=null,this.lightMap=null,this.lightMapIntensity=1,this.aoMap=null,this.aoMapIntensity=1,this.emissive=new st(0),this.emissiveIntensity=1,this.emissiveMap=null,this.bumpMap=null,this.bumpScale=1,this.normalMap=null,this.normalMapType=jc,this.normalScale=new pt(1,1),this.displacementMap=null,this.displacementScale=1,this.displacementBias=0,this.specularMap=null,this.alphaMap=null,this.envMap=null,this.envMapRotation=new _s,this.combine=uc,this.reflectivity=1,this.envMapIntensity=1,this.refractionRatio=.98,this.wireframe=!1,this.wireframeLinewidth=1,this.wireframeLinecap="round",this.wireframeLinejoin="round",this.flatShading=!1,this.fog=!0,this.setValues(e)}copy(e){return super.copy(e),this.color.copy(e.color),this.map=e.map,this.lightMap=e.lightMap,this.lightMapIntensity=e.lightMapIntensity,this.aoMap=e.aoMap,this.aoMapIntensity=e.aoMapIntensity,this.emissive.copy(e.emissive),this.emissiveMap=e.emissiveMap,this.emissiveIntensity=e.emissiveIntensity,this.bumpMap=e.bumpMap,this.bumpScale=e.bumpScale,this.normalMap=e.normalMap,this.normalMapType=e.normalMapType,this.normalScale.copy(e.normalScale),this.displacementMap=e.displacementMap,this.displacementScale=e.displacementScale,this.displacementBias=e.displacementBias,this.specularMap=e.specularMap,this.alphaMap=e.alphaMap,this.envMap=e.envMap,this.envMapRotation.copy(e.envMapRotation),this.combine=e.combine,this.reflectivity=e.reflectivity,this.envMapIntensity=e.envMapIntensity,this.refractionRatio=e.refractionRatio,this.wireframe=e.wireframe,this.wireframeLinewidth=e.wireframeLinewidth,this.wireframeLinecap=e.wireframeLinecap,this.wireframeLinejoin=e.wireframeLinejoin,this.flatShading=e.flatShading,this.fog=e.fog,this}},Kl=class extends xs{constructor(e){super(),this.isMeshDepthMaterial=!0,this.type="MeshDepthMaterial",this.depthPacking=Xm,this.map=null,this.alphaMap=null,this.displacementMap=null,this.displacementScale=1,this.displacementBias=0,this.wireframe=!1,this.wireframeLinewidth=1,this.setValues(e)}copy(e){return super.copy(e),this.depthPacking=e.depthPacking,this.map=e.map,this.alphaMap=e.alphaMap,this.displacementMap=e.displacementMap,this.displacementScale=e.displacementScale,this.displacementBias=e.displacementBias,this.wireframe=e.wireframe,this.wireframeLinewidth=e.wireframeLinewidth,this}},jl=class extends xs{constructor(e){super(),this.isMeshDistanceMaterial=!0,this.type="MeshDistanceMaterial",this.map=null,this.alphaMap=null,this.displacementMap=null,this.displacementScale=1,this.displacementBias=0,this.setValues(e)}copy(e){return super.copy(e),this.map=e.map,this.alphaMap=e.alphaMap,this.displacementMap=e.displacementMap,this.displacementScale=e.displacementScale,this.displacementBias=e.displacementBias,this}};function Jr(i,e){return!i||i.constructor===e?i:typeof e.BYTES_PER_ELEMENT=="number"?new e(i):Array.prototype.slice.call(i)}function Pl(i){return i!==void 0&&i.inTangents!==void 0&&i.outTangents!==void 0}var Vs=class{constructor(e,t,n,s){this.parameterPositions=e,this._cachedIndex=0,this.resultBuffer=s!==void 0?s:new t.constructor(n),this.sampleValues=t,this.valueSize=n,this.settings=null,this.DefaultSettings_={}}evaluate(e){let t=this.parameterPositions,n=this._cachedIndex,s=t[n],r=t[n-1];n:{e:{let a;t:{i:if(!(e<s)){for(let o=n+2;;){if(s===void 0){if(e<r)break i;return n=t.length,this._cachedIndex=n,this.copySampleValue_(n-1)}if(n===o)break;if(r=s,s=t[++n],e<s)break e}a=t.length;break t}if(!(e>=r)){let o=t[1];e<o&&(n=2,r=o);for(let l=n-2;;){if(r===void 0)return this._cachedIndex=0,this.copySampleValue_(0);if(n===l)break;if(s=r,r=t[--n-1],e>=r)break e}a=n,n=0;break t}break n}for(;n<a;){let o=n+a>>>1;e<t[o]?a=o:n=o+1}if(s=t[n],r=t[n-1],r===void 0)return this._cachedIndex=0,this.copySampleValue_(0);if(s===void 0)return n=t.length,this._cachedIndex=n,this.copySampleValue_(n-1)}this._cachedIndex=n,this.intervalChanged_(n,r,s)}return this.interpolate_(n,r,e,s)}getSettings_(){return this.settings||this.DefaultSettings_}copySampleValue_(e){let t=this.resultBuffer,n=this.sampleValues,s=this.valueSize,r=e*s;for(let a=0;a!==s;++a)t[a]=n[r+a];return t}interpolate_(){throw new Error("THREE.Interpolant: Call to abstract method.")}intervalChanged_(){}},Ql=class extends Vs{constructor(e,t,n,s){super(e,t,n,s),this._weightPrev=-0,this._offsetPrev=-0,this._weightNext=-0,this._offsetNext=-0,this.DefaultSettings_={endingStart:Ou,endingEnd:Ou}}intervalChanged_(e,t,n){let s=this.parameterPositions,r=e-2,a=e+1,o=s[r],l=s[a];if(o===void 0)switch(this.getSettings_().endingStart){case Bu:r=e,o=2*t-n;break;case ku:r=s.length-2,o=t+s[r]-s[r+1];break;default:r=e,o=n}if(l===void 0)switch(this.getSettings_().endingEnd){case Bu:a=e,l=2*n-t;break;case ku:a=1,l=n+s[1]-s[0];break;default:a=e-1,l=t}let c=(n-t)*.5,u=this.valueSize;this._weightPrev=c/(t-o),this._weightNext=c/(l-n),this._offsetPrev=r*u,this._offsetNext=a*u}interpolate_(e,t,n,s){let r=this.resultBuffer,a=this.sampleValues,o=this.valueSize,l=e*o,c=l-o,u=this._offsetPrev,d=this._offsetNext,h=this._weightPrev,f=this._weightNext,g=(n-t)/(s-t),b=g*g,m=b*g,p=-h*m+2*h*b-h*g,x=(1+h)*m+(-1.5-2*h)*b+(-.5+h)*g+1,A=(-1-f)*m+(1.5+f)*b+.5*g,S=f*m-f*b;for(let R=0;R!==o;++R)r[R]=p*a[u+R]+x*a[c+R]+A*a[l+R]+S*a[d+R];return r}},ec=class extends Vs{constructor(e,t,n,s){super(e,t,n,s)}interpolate_(e,t,n,s){let r=this.resultBuffer,a=this.sampleValues,o=this.valueSize,l=e*o,c=l-o,u=(n-t)/(s-t),d=1-u;for(let h=0;h!==o;++h)r[h]=a[c+h]*d+a[l+h]*u;return r}},tc=class extends Vs{constructor(e,t,n,s){super(e,t,n,s)}interpolate_(e){return this.copySampleValue_(e-1)}},nc=class extends Vs{interpolate_(e,t,n,s){let r=this.resultBuffer,a=this.sampleValues,o=this.valueSize,l=e*o,c=l-o,u=this.inTangents,d=this.outTangents;if(!u||!d){let g=(n-t)/(s-t),b=1-g;for(let m=0;m!==o;++m)r[m]=a[c+m]*b+a[l+m]*g;return r}let h=o*2,f=e-1;for(let g=0;g!==o;++g){let b=a[c+g],m=a[l+g],p=f*h+g*2,x=d[p],A=d[p+1],S=e*h+g*2,R=u[S],E=u[S+1],v=rx(n,t,x,R,s);r[g]=og(v,b,A,E,m)}return r}};function og(i,e,t,n,s){let r=1-i;return r*r*r*e+3*r*r*i*t+3*r*i*i*n+i*i*i*s}function sx(i,e,t,n,s){let r=1-i;return 3*r*r*(t-e)+6*r*i*(n-t)+3*i*i*(s-n)}function rx(i,e,t,n,s){let r=(i-e)/(s-e);for(let a=0;a<8;a++){let o=og(r,e,t,n,s)-i;if(Math.abs(o)<1e-10)break;let l=sx(r,e,t,n,s);if(Math.abs(l)<1e-10)break;r=Math.max(0,Math.min(1,r-o/l))}return r}var pi=class{constructor(e,t,n,s){if(e===void 0)throw new Error("THREE.KeyframeTrack: track name is undefined");if(t===void 0||t.length===0)throw new Error("THREE.KeyframeTrack: no keyframes in track named "+e);this.name=e,this.times=Jr(t,this.TimeBufferType),this.values=Jr(n,this.ValueBufferType),this.setInterpolation(s||this.DefaultInterpolation)}static toJSON(e){let t=e.constructor,n;if(t.toJSON!==this.toJSON)n=t.toJSON(e);else{n={name:e.name,times:Jr(e.times,Array),values:Jr(e.values,Array)};let s=e.getInterpolation();s!==e.DefaultInterpolation&&(n.interpolation=s),Pl(e.settings)&&(n.settings={inTangents:Jr(e.settings.inTangents,Array),outTangents:Jr(e.settings.outTangents,Array)})}return n.type=e.ValueTypeName,n}InterpolantFactoryMethodDiscrete(e){return new tc(this.times,this.values,this.getValueSize(),e)}InterpolantFactoryMethodLinear(e){return new ec(this.times,this.values,this.getValueSize(),e)}InterpolantFactoryMethodSmooth(e){return new Ql(this.times,this.values,this.getValueSize(),e)}InterpolantFactoryMethodBezier(e){let t=new nc(this.times,this.values,this.getValueSize(),e);return this.settings&&(t.inTangents=this.settings.inTangents,t.outTangents=this.settings.outTangents),t}setInterpolation(e){let t;switch(e){case Xa:t=this.InterpolantFactoryMethodDiscrete;break;case Hl:t=this.InterpolantFactoryMethodLinear;break;case Nl:t=this.InterpolantFactoryMethodSmooth;break;case Uu:t=this.InterpolantFactoryMethodBezier;break}if(t===void 0){let n="unsupported interpolation for "+this.ValueTypeName+" keyframe track named "+this.name;if(this.createInterpolant===void 0)if(e!==this.DefaultInterpolation)this.setInterpolation(this.DefaultInterpolation);else throw new Error(n);return $e("KeyframeTrack:",n),this}return this.createInterpolant=t,this}getInterpolation(){switch(this.createInterpolant){case this.InterpolantFactoryMethodDiscrete:return Xa;case this.InterpolantFactoryMethodLinear:return Hl;case this.InterpolantFactoryMethodSmooth:return Nl;case this.InterpolantFactoryMethodBezier:return Uu}}getValueSize(){return this.values.length/this.times.length}shift(e){if(e!==0){let t=this.times;for(let n=0,s=t.length;n!==s;++n)t[n]+=e;Pl(this.settings)&&(mm(this.settings.inTangents,e),mm(this.settings.outTangents,e))}return this}scale(e){if(e!==1){let t=this.times;for(let n=0,s=t.length;n!==s;++n)t[n]*=e;Pl(this.settings)&&(gm(this.settings.inTangents,e),gm(this.settings.outTangents,e))}return this}trim(e,t){let n=this.times,s=n.length,r=0,a=s-1;for(;r!==s&&n[r]<e;)++r;for(;a!==-1&&n[a]>t;)--a;if(++a,r!==0||a!==s){r>=a&&(a=Math.max(a,1),r=a-1);let o=this.getValueSize();this.times=n.slice(r,a),this.values=this.values.slice(r*o,a*o)}return this}validate(){let e=!0,t=this.getValueSize();t-Math.floor(t)!==0&&(je("KeyframeTrack: Invalid value size in track.",this),e=!1);let n=this.times,s=this.values,r=n.length;r===0&&(je("KeyframeTrack: Track is empty.",this),e=!1);let a=null;for(let o=0;o!==r;o++){let l=n[o];if(typeof l=="number"&&isNaN(l)){je("KeyframeTrack: Time is not a valid number.",this,o,l),e=!1;break}if(a!==null&&a>l){je("KeyframeTrack: Out of order keys.",this,o,l,a),e=!1;break}a=l}if(s!==void 0&&Lv(s))for(let o=0,l=s.length;o!==l;++o){let c=s[o];if(isNaN(c)){je("KeyframeTrack: Value is not a valid number.",this,o,c),e=!1;break}}return e}optimize(){let e=this.times.slice(),t=this.values.slice(),n=this.getValueSize(),s=this.getInterpolation()===Nl,r=e.length-1,a=1;for(let o=1;o<r;++o){let l=!1,c=e[o],u=e[o+1];if(c!==u&&(o!==1||c!==e[0]))if(s)l=!0;else{let d=o*n,h=d-n,f=d+n;for(let g=0;g!==n;++g){let b=t[d+g];if(b!==t[h+g]||b!==t[f+g]){l=!0;break}}}if(l){if(o!==a){e[a]=e[o];let d=o*n,h=a*n;for(let f=0;f!==n;++f)t[h+f]=t[d+f]}++a}}if(r>0){e[a]=e[r];for(let o=r*n,l=a*n,c=0;c!==n;++c)t[l+c]=t[o+c];++a}return a!==e.length?(this.times=e.slice(0,a),this.values=t.slice(0,a*n)):(this.times=e,this.values=t),this}clone(){let e=this.times.slice(),t=this.values.slice(),n=this.constructor,s=new n(this.name,e,t);return s.createInterpolant=this.createInterpolant,Pl(this.settings)&&(s.settings={inTangents:this.settings.inTangents.slice(),outTangents:this.settings.outTangents.slice()}),s}};function mm(i,e){for(let t=0,n=i.length;t!==n;t+=2)i[t]+=e}function gm(i,e){for(let t=0,n=i.length;t!==n;t+=2)i[t]*=e}pi.prototype.ValueTypeName="";pi.prototype.TimeBufferType=Float32Array;pi.prototype.ValueBufferType=Float32Array;pi.prototype.DefaultInterpolation=Hl;var Gs=class extends pi{constructor(e,t,n){super(e,t,n)}};Gs.prototype.ValueTypeName="bool";Gs.prototype.ValueBufferType=Array;Gs.prototype.DefaultInterpolation=Xa;Gs.prototype.InterpolantFactoryMethodLinear=void 0;Gs.prototype.InterpolantFactoryMethodSmooth=void 0;var ic=class extends pi{constructor(e,t,n,s){super(e,t,n,s)}};ic.prototype.ValueTypeName="color";var sc=class extends pi{constructor(e,t,n,s){super(e,t,n,s)}};sc.prototype.ValueTypeName="number";var rc=class extends Vs{constructor(e,t,n,s){super(e,t,n,s)}interpolate_(e,t,n,s){let r=this.resultBuffer,a=this.sampleValues,o=this.valueSize,l=(n-t)/(s-t),c=e*o;for(let u=c+o;c!==u;c+=4)Mi.slerpFlat(r,0,a,c-o,a,c,l);return r}},ho=class extends pi{constructor(e,t,n,s){super(e,t,n,s)}InterpolantFactoryMethodLinear(e){return new rc(this.times,this.values,this.getValueSize(),e)}};ho.prototype.ValueTypeName="quaternion";ho.prototype.InterpolantFactoryMethodSmooth=void 0;var Hs=class extends pi{constructor(e,t,n){super(e,t,n)}};Hs.prototype.ValueTypeName="string";Hs.prototype.ValueBufferType=Array;Hs.prototype.DefaultInterpolation=Xa;Hs.prototype.InterpolantFactoryMethodLinear=void 0;Hs.prototype.InterpolantFactoryMethodSmooth=void 0;var ac=class extends pi{constructor(e,t,n,s){super(e,t,n,s)}};ac.prototype.ValueTypeName="vector";var oc=class{constructor(e,t,n){let s=this,r=!1,a=0,o=0,l,c=[];this.onStart=void 0,this.onLoad=e,this.onProgress=t,this.onError=n,this._abortController=null,this.itemStart=function(u){o++,r===!1&&s.onStart!==void 0&&s.onStart(u,a,o),r=!0},this.itemEnd=function(u){a++,s.onProgress!==void 0&&s.onProgress(u,a,o),a===o&&(r=!1,s.onLoad!==void 0&&s.onLoad())},this.itemError=function(u){s.onError!==void 0&&s.onError(u)},this.resolveURL=function(u){return u=u.normalize("NFC"),l?l(u):u},this.setURLModifier=function(u){return l=u,this},this.addHandler=function(u,d){return c.push(u,d),this},this.removeHandler=function(u){let d=c.indexOf(u);return d!==-1&&c.splice(d,2),this},this.getHandler=function(u){for(let d=0,h=c.length;d<h;d+=2){let f=c[d],g=c[d+1];if(f.global&&(f.lastIndex=0),f.test(u))return g}return null},this.abort=function(){return this.abortController.abort(),this._abortController=null,this}}get abortController(){return this._abortController||(this._abortController=new AbortController),this._abortController}},lg=new oc,lc=class{constructor(e){this.manager=e!==void 0?e:lg,this.crossOrigin="anonymous",this.withCredentials=!1,this.path="",this.resourcePath="",this.requestHeader={},this.priority="auto",this.cache="default",typeof __THREE_DEVTOOLS__<"u"&&__THREE_DEVTOOLS__.dispatchEvent(new CustomEvent("observe",{detail:this}))}load(){}loadAsync(e,t){let n=this;return new Promise(function(s,r){n.load(e,s,t,r)})}parse(){}setCrossOrigin(e){return this.crossOrigin=e,this}setWithCredentials(e){return this.withCredentials=e,this}setPath(e){return this.path=e,this}setResourcePath(e){return this.resourcePath=e,this}setRequestHeader(e){return this.requestHeader=e,this}setPriority(e){return this.priority=e,this}setCache(e){return this.cache=e,this}abort(){return this}};lc.DEFAULT_MATERIAL_NAME="__DEFAULT";var uo=class extends Ln{static registerNode(e){this.prototype._lightNode=e}constructor(e,t=1){super(),this.isLight=!0,this.type="Light",this.color=new st(e),this.intensity=t}copy(e,t){return super.copy(e,t),this.color.copy(e.color),this.intensity=e.intensity,this}toJSON(e){let t=super.toJSON(e);return t.object.color=this.color.getHex(),t.object.intensity=this.intensity,t}},fo=class extends uo{constructor(e,t,n){super(e,n),this.isHemisphereLight=!0,this.type="HemisphereLight",this.position.copy(Ln.DEFAULT_UP),this.updateMatrix(),this.groundColor=new st(t)}copy(e,t){return super.copy(e,t),this.groundColor.copy(e.groundColor),this}toJSON(e){let t=super.toJSON(e);return t.object.groundColor=this.groundColor.getHex(),t}},Fu=new St,_m=new Z,vm=new Z,cc=class{constructor(e){this.camera=e,this.intensity=1,this.bias=0,this.biasNode=null,this.normalBias=0,this.radius=1,this.blurSamples=8,this.mapSize=new pt(512,512),this.mapType=Qn,this.map=null,this.mapPass=null,this.matrix=new St,this.autoUpdate=!0,this.needsUpdate=!1,this._frustum=new zs,this._frameExtents=new pt(1,1),this._viewportCount=1,this._viewports=[new $t(0,0,1,1)]}getViewportCount(){return this._viewportCount}getCamera(){return this.camera}getFrustum(){return this._frustum}updateMatrices(e){let t=this.camera;_m.setFromMatrixPosition(e.matrixWorld),t.position.copy(_m),vm.setFromMatrixPosition(e.target.matrixWorld),t.lookAt(vm),t.updateMatrixWorld(),this._updateMatrix(t,this.matrix,this._frustum)}_updateMatrix(e,t,n,s){Fu.multiplyMatrices(e.projectionMatrix,e.matrixWorldInverse),n.setFromProjectionMatrix(Fu,e.coordinateSystem,e.reversedDepth);let r=this._frameExtents,a=s?s.z/r.x:1,o=s?s.w/r.y:1,l=s?s.x/r.x:0,c=s?s.y/r.y:0;e.coordinateSystem===na||e.reversedDepth?t.set(.5*a,0,0,.5*a+l,0,.5*o,0,.5*o+c,0,0,1,0,0,0,0,1):t.set(.5*a,0,0,.5*a+l,0,.5*o,0,.5*o+c,0,0,.5,.5,0,0,0,1),t.multiply(Fu)}getViewport(e){return this._viewports[e]}getFrameExtents(){return this._frameExtents}dispose(){this.map&&this.map.dispose(),this.mapPass&&this.mapPass.dispose()}copy(e){return this.camera=e.camera.clone(),this.intensity=e.intensity,this.bias=e.bias,this.radius=e.radius,this.autoUpdate=e.autoUpdate,this.needsUpdate=e.needsUpdate,this.normalBias=e.normalBias,this.blurSamples=e.blurSamples,this.mapSize.copy(e.mapSize),this.mapType=e.mapType,this.biasNode=e.biasNode,this}clone(){return new this.constructor().copy(this)}toJSON(){let e={};return e.intensity=this.intensity,e.bias=this.bias,e.normalBias=this.normalBias,e.radius=this.radius,e.blurSamples=this.blurSamples,e.mapSize=this.mapSize.toArray(),e.mapType=this.mapType,e.camera=this.camera.toJSON(!1).object,delete e.camera.matrix,e}},Il=new Z,Ll=new Mi,Yi=new Z,po=class extends Ln{constructor(){super(),this.isCamera=!0,this.type="Camera",this.matrixWorldInverse=new St,this.projectionMatrix=new St,this.projectionMatrixInverse=new St,this.coordinateSystem=Si,this._reversedDepth=!1}get reversedDepth(){return this._reversedDepth}copy(e,t){return super.copy(e,t),this.matrixWorldInverse.copy(e.matrixWorldInverse),this.projectionMatrix.copy(e.projectionMatrix),this.projectionMatrixInverse.copy(e.projectionMatrixInverse),this.coordinateSystem=e.coordinateSystem,this}getWorldDirection(e){return super.getWorldDirection(e).negate()}updateMatrixWorld(e){super.updateMatrixWorld(e),this.matrixWorld.decompose(Il,Ll,Yi),Yi.x===1&&Yi.y===1&&Yi.z===1?this.matrixWorldInverse.copy(this.matrixWorld).invert():this.matrixWorldInverse.compose(Il,Ll,Yi.set(1,1,1)).invert()}updateWorldMatrix(e,t,n=!1){super.updateWorldMatrix(e,t,n),this.matrixWorld.decompose(Il,Ll,Yi),Yi.x===1&&Yi.y===1&&Yi.z===1?this.matrixWorldInverse.copy(this.matrixWorld).invert():this.matrixWorldInverse.compose(Il,Ll,Yi.set(1,1,1)).invert()}clone(){return new this.constructor().copy(this)}},Bs=new Z,xm=new pt,ym=new pt,Hn=class extends po{constructor(e=50,t=1,n=.1,s=2e3){super(),this.isPerspectiveCamera=!0,this.type="PerspectiveCamera",this.fov=e,this.zoom=1,this.near=n,this.far=s,this.focus=10,this.aspect=t,this.view=null,this.filmGauge=35,this.filmOffset=0,this.updateProjectionMatrix()}copy(e,t){return super.copy(e,t),this.fov=e.fov,this.zoom=e.zoom,this.near=e.near,this.far=e.far,this.focus=e.focus,this.aspect=e.aspect,this.view=e.view===null?null:Object.assign({},e.view),this.filmGauge=e.filmGauge,this.filmOffset=e.filmOffset,this}setFocalLength(e){let t=.5*this.getFilmHeight()/e;this.fov=Wl*2*Math.atan(t),this.updateProjectionMatrix()}getFocalLength(){let e=Math.tan(pu*.5*this.fov);return .5*this.getFilmHeight()/e}getEffectiveFOV(){return Wl*2*Math.atan(Math.tan(pu*.5*this.fov)/this.zoom)}getFilmWidth(){return this.filmGauge*Math.min(this.aspect,1)}getFilmHeight(){return this.filmGauge/Math.max(this.aspect,1)}getViewBounds(e,t,n){Bs.set(-1,-1,.5).applyMatrix4(this.projectionMatrixInverse),t.set(Bs.x,Bs.y).multiplyScalar(-e/Bs.z),Bs.set(1,1,.5).applyMatrix4(this.projectionMatrixInverse),n.set(Bs.x,Bs.y).multiplyScalar(-e/Bs.z)}getViewSize(e,t){return this.getViewBounds(e,xm,ym),t.subVectors(ym,xm)}setViewOffset(e,t,n,s,r,a){this.aspect=e/t,this.view===null&&(this.view={enabled:!0,fullWidth:1,fullHeight:1,offsetX:0,offsetY:0,width:1,height:1}),this.view.enabled=!0,this.view.fullWidth=e,this.view.fullHeight=t,this.view.offsetX=n,this.view.offsetY=s,this.view.width=r,this.view.height=a,this.updateProjectionMatrix()}clearViewOffset(){this.view!==null&&(this.view.enabled=!1),this.updateProjectionMatrix()}updateProjectionMatrix(){let e=this.near,t=e*Math.tan(pu*.5*this.fov)/this.zoom,n=2*t,s=this.aspect*n,r=-.5*s,a=this.view;if(this.view!==null&&this.view.enabled){let l=a.fullWidth,c=a.fullHeight;r+=a.offsetX*s/l,t-=a.offsetY*n/c,s*=a.width/l,n*=a.height/c}let o=this.filmOffset;o!==0&&(r+=e*o/this.getFilmWidth()),this.projectionMatrix.makePerspective(r,r+s,t,t-n,e,this.far,this.coordinateSystem,this.reversedDepth),this.projectionMatrixInverse.copy(this.projectionMatrix).invert()}toJSON(e){let t=super.toJSON(e);return t.object.fov=this.fov,t.object.zoom=this.zoom,t.object.near=this.near,t.object.far=this.far,t.object.focus=this.focus,t.object.aspect=this.aspect,this.view!==null&&(t.object.view=Object.assign({},this.view)),t.object.filmGauge=this.filmGauge,t.object.filmOffset=this.filmOffset,t}};var lr=class extends po{constructor(e=-1,t=1,n=1,s=-1,r=.1,a=2e3){super(),this.isOrthographicCamera=!0,this.type="OrthographicCamera",this.zoom=1,this.view=null,this.left=e,this.right=t,this.top=n,this.bottom=s,this.near=r,this.far=a,this.updateProjectionMatrix()}copy(e,t){return super.copy(e,t),this.left=e.left,this.right=e.right,this.top=e.top,this.bottom=e.bottom,this.near=e.near,this.far=e.far,this.zoom=e.zoom,this.view=e.view===null?null:Object.assign({},e.view),this}setViewOffset(e,t,n,s,r,a){this.view===null&&(this.view={enabled:!0,fullWidth:1,fullHeight:1,offsetX:0,offsetY:0,width:1,height:1}),this.view.enabled=!0,this.view.fullWidth=e,this.view.fullHeight=t,this.view.offsetX=n,this.view.offsetY=s,this.view.width=r,this.view.height=a,this.updateProjectionMatrix()}clearViewOffset(){this.view!==null&&(this.view.enabled=!1),this.updateProjectionMatrix()}updateProjectionMatrix(){let e=(this.right-this.left)/(2*this.zoom),t=(this.top-this.bottom)/(2*this.zoom),n=(this.right+this.left)/2,s=(this.top+this.bottom)/2,r=n-e,a=n+e,o=s+t,l=s-t;if(this.view!==null&&this.view.enabled){let c=(this.right-this.left)/this.view.fullWidth/this.zoom,u=(this.top-this.bottom)/this.view.fullHeight/this.zoom;r+=c*this.view.offsetX,a=r+c*this.view.width,o-=u*this.view.offsetY,l=o-u*this.view.height}this.projectionMatrix.makeOrthographic(r,a,o,l,this.near,this.far,this.coordinateSystem,this.reversedDepth),this.projectionMatrixInverse.copy(this.projectionMatrix).invert()}toJSON(e){let t=super.toJSON(e);return t.object.zoom=this.zoom,t.object.left=this.left,t.object.right=this.right,t.object.top=this.top,t.object.bottom=this.bottom,t.object.near=this.near,t.object.far=this.far,this.view!==null&&(t.object.view=Object.assign({},this.view)),t}},Vu=class extends cc{constructor(){super(new lr(-5,5,5,-5,.5,500)),this.isDirectionalLightShadow=!0}},mo=class extends uo{constructor(e,t){super(e,t),this.isDirectionalLight=!0,this.type="DirectionalLight",this.position.copy(Ln.DEFAULT_UP),this.updateMatrix(),this.target=new Ln,this.shadow=new Vu}dispose(){super.dispose(),this.shadow.dispose()}copy(e){return super.copy(e),this.target=e.target.clone(),this.shadow=e.shadow.clone(),this}toJSON(e){let t=super.toJSON(e);return t.object.shadow=this.shadow.toJSON(),t.object.target=this.target.uuid,t}};var Kr=-90,jr=1,ca=class extends Ln{constructor(e,t,n){super(),this.type="CubeCamera",this.renderTarget=n,this.coordinateSystem=null,this.activeMipmapLevel=0;let s=new Hn(Kr,jr,e,t);s.layers=this.layers,this.add(s);let r=new Hn(Kr,jr,e,t);r.layers=this.layers,this.add(r);let a=new Hn(Kr,jr,e,t);a.layers=this.layers,this.add(a);let o=new Hn(Kr,jr,e,t);o.layers=this.layers,this.add(o);let l=new Hn(Kr,jr,e,t);l.layers=this.layers,this.add(l);let c=new Hn(Kr,jr,e,t);c.layers=this.layers,this.add(c)}updateCoordinateSystem(){let e=this.coordinateSystem,t=this.children.concat(),[n,s,r,a,o,l]=t;for(let c of t)this.remove(c);if(e===Si)n.up.set(0,1,0),n.lookAt(1,0,0),s.up.set(0,1,0),s.lookAt(-1,0,0),r.up.set(0,0,-1),r.lookAt(0,1,0),a.up.set(0,0,1),a.lookAt(0,-1,0),o.up.set(0,1,0),o.lookAt(0,0,1),l.up.set(0,1,0),l.lookAt(0,0,-1);else if(e===na)n.up.set(0,-1,0),n.lookAt(-1,0,0),s.up.set(0,-1,0),s.lookAt(1,0,0),r.up.set(0,0,1),r.lookAt(0,1,0),a.up.set(0,0,-1),a.lookAt(0,-1,0),o.up.set(0,-1,0),o.lookAt(0,0,1),l.up.set(0,-1,0),l.lookAt(0,0,-1);else throw new Error("THREE.CubeCamera.updateCoordinateSystem(): Invalid coordinate system: "+e);for(let c of t)this.add(c),c.updateMatrixWorld()}update(e,t){this.parent===null&&this.updateMatrixWorld();let{renderTarget:n,activeMipmapLevel:s}=this;this.coordinateSystem!==e.coordinateSystem&&(this.coordinateSystem=e.coordinateSystem,this.updateCoordinateSystem());let[r,a,o,l,c,u]=this.children,d=e.getRenderTarget(),h=e.getActiveCubeFace(),f=e.getActiveMipmapLevel(),g=e.xr.enabled;e.xr.enabled=!1;let b=n.texture.mipmapsAutoUpdate;n.texture.mipmapsAutoUpdate=!1;let m=!1;e.isWebGLRenderer===!0?m=e.state.buffers.depth.getReversed():m=e.reversedDepthBuffer,e.setRenderTarget(n,0,s),m&&e.autoClear===!1&&e.clearDepth(),e.render(t,r),e.setRenderTarget(n,1,s),m&&e.autoClear===!1&&e.clearDepth(),e.render(t,a),e.setRenderTarget(n,2,s),m&&e.autoClear===!1&&e.clearDepth(),e.render(t,o),e.setRenderTarget(n,3,s),m&&e.autoClear===!1&&e.clearDepth(),e.render(t,l),e.setRenderTarget(n,4,s),m&&e.autoClear===!1&&e.clearDepth(),e.render(t,c),n.texture.mipmapsAutoUpdate=b,e.setRenderTarget(n,5,s),m&&e.autoClear===!1&&e.clearDepth(),e.render(t,u),e.setRenderTarget(d,h,f),e.xr.enabled=g,n.texture.needsPMREMUpdate=!0}},hc=class extends Hn{constructor(e=[]){super(),this.isArrayCamera=!0,this.isMultiViewCamera=!1,this.cameras=e,this.perCameraFrustumCulled=!1}};var xd="\\[\\]\\.:\\/",ax=new RegExp("["+xd+"]","g"),yd="[^"+xd+"]",ox="[^"+xd.replace("\\.","")+"]",lx=/((?:WC+[\/:])*)/.source.replace("WC",yd),cx=/(WCOD+)?/.source.replace("WCOD",ox),hx=/(?:\.(WC+)(?:\[(.+)\])?)?/.source.replace("WC",yd),ux=/\.(WC+)(?:\[(.+)\])?/.source.replace("WC",yd),dx=new RegExp("^"+lx+cx+hx+ux+"$"),fx=["material","materials","bones","map"],Gu=class{constructor(e,t,n){let s=n||Xt.parseTrackName(t);this._targetGroup=e,this._bindings=e.subscribe_(t,s)}getValue(e,t){this.bind();let n=this._targetGroup.nCachedObjects_,s=this._bindings[n];s!==void 0&&s.getValue(e,t)}setValue(e,t){let n=this._bindings;for(let s=this._targetGroup.nCachedObjects_,r=n.length;s!==r;++s)n[s].setValue(e,t)}bind(){let e=this._bindings;for(let t=this._targetGroup.nCachedObjects_,n=e.length;t!==n;++t)e[t].bind()}unbind(){let e=this._bindings;for(let t=this._targetGroup.nCachedObjects_,n=e.length;t!==n;++t)e[t].unbind()}},Xt=class i{constructor(e,t,n){this.path=t,this.parsedPath=n||i.parseTrackName(t),this.node=i.findNode(e,this.parsedPath.nodeName),this.rootNode=e,this.getValue=this._getValue_unbound,this.setValue=this._setValue_unbound}static create(e,t,n){return e&&e.isAnimationObjectGroup?new i.Composite(e,t,n):new i(e,t,n)}static sanitizeNodeName(e){return e.replace(/\s/g,"_").replace(ax,"")}static parseTrackName(e){let t=dx.exec(e);if(t===null)throw new Error("THREE.PropertyBinding: Cannot parse trackName: "+e);let n={nodeName:t[2],objectName:t[3],objectIndex:t[4],propertyName:t[5],propertyIndex:t[6]},s=n.nodeName&&n.nodeName.lastIndexOf(".");if(s!==void 0&&s!==-1){let r=n.nodeName.substring(s+1);fx.indexOf(r)!==-1&&(n.nodeName=n.nodeName.substring(0,s),n.objectName=r)}if(n.propertyName===null||n.propertyName.length===0)throw new Error("THREE.PropertyBinding: can not parse propertyName from trackName: "+e);return n}static findNode(e,t){if(t===void 0||t===""||t==="."||t===-1||t===e.name||t===e.uuid)return e;if(e.skeleton){let n=e.skeleton.getBoneByName(t);if(n!==void 0)return n}if(e.children){let n=function(r){for(let a=0;a<r.length;a++){let o=r[a];if(o.name===t||o.uuid===t)return o;let l=n(o.children);if(l)return l}return null},s=n(e.children);if(s)return s}return null}_getValue_unavailable(){}_setValue_unavailable(){}_getValue_direct(e,t){e[t]=this.targetObject[this.propertyName]}_getValue_array(e,t){let n=this.resolvedProperty;for(let s=0,r=n.length;s!==r;++s)e[t++]=n[s]}_getValue_arrayElement(e,t){e[t]=this.resolvedProperty[this.propertyIndex]}_getValue_toArray(e,t){this.resolvedProperty.toArray(e,t)}_setValue_direct(e,t){this.targetObject[this.propertyName]=e[t]}_setValue_direct_setNeedsUpdate(e,t){this.targetObject[this.propertyName]=e[t],this.targetObject.needsUpdate=!0}_setValue_direct_setMatrixWorldNeedsUpdate(e,t){this.targetObject[this.propertyName]=e[t],this.targetObject.matrixWorldNeedsUpdate=!0}_setValue_array(e,t){let n=this.resolvedProperty;for(let s=0,r=n.length;s!==r;++s)n[s]=e[t++]}_setValue_array_setNeedsUpdate(e,t){let n=this.resolvedProperty;for(let s=0,r=n.length;s!==r;++s)n[s]=e[t++];this.targetObject.needsUpdate=!0}_setValue_array_setMatrixWorldNeedsUpdate(e,t){let n=this.resolvedProperty;for(let s=0,r=n.length;s!==r;++s)n[s]=e[t++];this.targetObject.matrixWorldNeedsUpdate=!0}_setValue_arrayElement(e,t){this.resolvedProperty[this.propertyIndex]=e[t]}_setValue_arrayElement_setNeedsUpdate(e,t){this.resolvedProperty[this.propertyIndex]=e[t],this.targetObject.needsUpdate=!0}_setValue_arrayElement_setMatrixWorldNeedsUpdate(e,t){this.resolvedProperty[this.propertyIndex]=e[t],this.targetObject.matrixWorldNeedsUpdate=!0}_setValue_fromArray(e,t){this.resolvedProperty.fromArray(e,t)}_setValue_fromArray_setNeedsUpdate(e,t){this.resolvedProperty.fromArray(e,t),this.targetObject.needsUpdate=!0}_setValue_fromArray_setMatrixWorldNeedsUpdate(e,t){this.resolvedProperty.fromArray(e,t),this.targetObject.matrixWorldNeedsUpdate=!0}_getValue_unbound(e,t){this.bind(),this.getValue(e,t)}_setValue_unbound(e,t){this.bind(),this.setValue(e,t)}bind(){let e=this.node,t=this.parsedPath,n=t.objectName,s=t.propertyName,r=t.propertyIndex;if(e||(e=i.findNode(this.rootNode,t.nodeName),this.node=e),this.getValue=this._getValue_unavailable,this.setValue=this._setValue_unavailable,!e){$e("PropertyBinding: No target node found for track: "+this.path+".");return}if(n){let c=t.objectIndex;switch(n){case"materials":if(!e.material){je("PropertyBinding: Can not bind to material as node does not have a material.",this);return}if(!e.material.materials){je("PropertyBinding: Can not bind to material.materials as node.material does not have a materials array.",this);return}e=e.material.materials;break;case"bones":if(!e.skeleton){je("PropertyBinding: Can not bind to bones as node does not have a skeleton.",this);return}e=e.skeleton.bones;for(let u=0;u<e.length;u++)if(e[u].name===c){c=u;break}break;case"map":if("map"in e){e=e.map;break}if(!e.material){je("PropertyBinding: Can not bind to material as node does not have a material.",this);return}if(!e.material.map){je("PropertyBinding: Can not bind to material.map as node.material does not have a map.",this);return}e=e.material.map;break;default:if(e[n]===void 0){je("PropertyBinding: Can not bind to objectName of node undefined.",this);return}e=e[n]}if(c!==void 0){if(e[c]===void 0){je("PropertyBinding: Trying to bind to objectIndex of objectName, but is undefined.",this,e);return}e=e[c]}}let a=e[s];if(a===void 0){let c=t.nodeName;je("PropertyBinding: Trying to update property for track: "+c+"."+s+" but it wasn't found.",e);return}let o=this.Versioning.None;this.targetObject=e,e.isMaterial===!0?o=this.Versioning.NeedsUpdate:e.isObject3D===!0&&(o=this.Versioning.MatrixWorldNeedsUpdate);let l=this.BindingType.Direct;if(r!==void 0){if(s==="morphTargetInfluences"){if(!e.geometry){je("PropertyBinding: Can not bind to morphTargetInfluences because node does not have a geometry.",this);return}if(!e.geometry.morphAttributes){je("PropertyBinding: Can not bind to morphTargetInfluences because node does not have a geometry.morphAttributes.",this);return}e.morphTargetDictionary[r]!==void 0&&(r=e.morphTargetDictionary[r])}l=this.BindingType.ArrayElement,this.resolvedProperty=a,this.propertyIndex=r}else a.fromArray!==void 0&&a.toArray!==void 0?(l=this.BindingType.HasFromToArray,this.resolvedProperty=a):Array.isArray(a)?(l=this.BindingType.EntireArray,this.resolvedProperty=a):this.propertyName=s;this.getValue=this.GetterByBindingType[l],this.setValue=this.SetterByBindingTypeAndVersioning[l][o]}unbind(){this.node=null,this.getValue=this._getValue_unbound,this.setValue=this._setValue_unbound}};Xt.Composite=Gu;Xt.prototype.BindingType={Direct:0,EntireArray:1,ArrayElement:2,HasFromToArray:3};Xt.prototype.Versioning={None:0,NeedsUpdate:1,MatrixWorldNeedsUpdate:2};Xt.prototype.GetterByBindingType=[Xt.prototype._getValue_direct,Xt.prototype._getValue_array,Xt.prototype._getValue_arrayElement,Xt.prototype._getValue_toArray];Xt.prototype.SetterByBindingTypeAndVersioning=[[Xt.prototype._setValue_direct,Xt.prototype._setValue_direct_setNeedsUpdate,Xt.prototype._setValue_direct_setMatrixWorldNeedsUpdate],[Xt.prototype._setValue_array,Xt.prototype._setValue_array_setNeedsUpdate,Xt.prototype._setValue_array_setMatrixWorldNeedsUpdate],[Xt.prototype._setValue_arrayElement,Xt.prototype._setValue_arrayElement_setNeedsUpdate,Xt.prototype._setValue_arrayElement_setMatrixWorldNeedsUpdate],[Xt.prototype._setValue_fromArray,Xt.prototype._setValue_fromArray_setNeedsUpdate,Xt.prototype._setValue_fromArray_setMatrixWorldNeedsUpdate]];var x1=new Float32Array(1);var Hu=class{static{this.prototype.isMatrix2=!0}constructor(e,t,n,s){this.elements=[1,0,0,1],e!==void 0&&this.set(e,t,n,s)}identity(){return this.set(1,0,0,1),this}fromArray(e,t=0){for(let n=0;n<4;n++)this.elements[n]=e[n+t];return this}set(e,t,n,s){let r=this.elements;return r[0]=e,r[2]=t,r[1]=n,r[3]=s,this}};function bd(i,e,t,n){let s=px(n);switch(t){case ld:return i*e;case vc:return i*e/s.components*s.byteLength;case xc:return i*e/s.components*s.byteLength;case Xs:return i*e*2/s.components*s.byteLength;case yc:return i*e*2/s.components*s.byteLength;case cd:return i*e*3/s.components*s.byteLength;case Bi:return i*e*4/s.components*s.byteLength;case bc:return i*e*4/s.components*s.byteLength;case vo:case xo:return Math.floor((i+3)/4)*Math.floor((e+3)/4)*8;case yo:case bo:return Math.floor((i+3)/4)*Math.floor((e+3)/4)*16;case Mc:case Tc:return Math.max(i,16)*Math.max(e,8)/4;case Sc:case wc:return Math.max(i,8)*Math.max(e,8)/2;case Ec:case Ac:case Rc:case Pc:return Math.floor((i+3)/4)*Math.floor((e+3)/4)*8;case Cc:case So:case Ic:return Math.floor((i+3)/4)*Math.floor((e+3)/4)*16;case Lc:return Math.floor((i+3)/4)*Math.floor((e+3)/4)*16;case Nc:return Math.floor((i+4)/5)*Math.floor((e+3)/4)*16;case Dc:return Math.floor((i+4)/5)*Math.floor((e+4)/5)*16;case Fc:return Math.floor((i+5)/6)*Math.floor((e+4)/5)*16;case Uc:return Math.floor((i+5)/6)*Math.floor((e+5)/6)*16;case Oc:return Math.floor((i+7)/8)*Math.floor((e+4)/5)*16;case Bc:return Math.floor((i+7)/8)*Math.floor((e+5)/6)*16;case kc:return Math.floor((i+7)/8)*Math.floor((e+7)/8)*16;case zc:return Math.floor((i+9)/10)*Math.floor((e+4)/5)*16;case Vc:return Math.floor((i+9)/10)*Math.floor((e+5)/6)*16;case Gc:return Math.floor((i+9)/10)*Math.floor((e+7)/8)*16;case Hc:return Math.floor((i+9)/10)*Math.floor((e+9)/10)*16;case Wc:return Math.floor((i+11)/12)*Math.floor((e+9)/10)*16;case Xc:return Math.floor((i+11)/12)*Math.floor((e+11)/12)*16;case qc:case Yc:case $c:return Math.ceil(i/4)*Math.ceil(e/4)*16;case Zc:case Jc:return Math.ceil(i/4)*Math.ceil(e/4)*8;case Mo:case Kc:return Math.ceil(i/4)*Math.ceil(e/4)*16}throw new Error(`Unable to determine texture byte length for ${t} format.`)}function px(i){switch(i){case Qn:case sd:return{byteLength:1,components:1};case fa:case rd:case Oi:return{byteLength:2,components:1};case gc:case _c:return{byteLength:2,components:4};case Ui:case mc:case wi:return{byteLength:4,components:1};case ad:case od:return{byteLength:4,components:3}}throw new Error(`THREE.TextureUtils: Unknown texture type ${i}.`)}typeof __THREE_DEVTOOLS__<"u"&&__THREE_DEVTOOLS__.dispatchEvent(new CustomEvent("register",{detail:{revision:"187"}}));typeof window<"u"&&(window.__THREE__?$e("WARNING: Multiple instances of Three.js being imported."):window.__THREE__="187");function Pg(){let i=null,e=!1,t=null,n=null;function s(r,a){n=i.requestAnimationFrame(s),t(r,a)}return{start:function(){e!==!0&&t!==null&&i!==null&&(n=i.requestAnimationFrame(s),e=!0)},stop:function(){i!==null&&i.cancelAnimationFrame(n),e=!1},setAnimationLoop:function(r){t=r},setContext:function(r){i=r}}}function gx(i){let e=new WeakMap;function t(o,l){let c=o.array,u=o.usage,d=c.byteLength,h=i.createBuffer();i.bindBuffer(l,h),i.bufferData(l,c,u),o.onUploadCallback();let f;if(c instanceof Float32Array)f=i.FLOAT;else if(typeof Float16Array<"u"&&c instanceof Float16Array)f=i.HALF_FLOAT;else if(c instanceof Uint16Array)o.isFloat16BufferAttribute?f=i.HALF_FLOAT:f=i.UNSIGNED_SHORT;else if(c instanceof Int16Array)f=i.SHORT;else if(c instanceof Uint32Array)f=i.UNSIGNED_INT;else if(c instanceof Int32Array)f=i.INT;else if(c instanceof Int8Array)f=i.BYTE;else if(c instanceof Uint8Array)f=i.UNSIGNED_BYTE;else if(c instanceof Uint8ClampedArray)f=i.UNSIGNED_BYTE;else throw new Error("THREE.WebGLAttributes: Unsupported buffer data format: "+c);return{buffer:h,type:f,bytesPerElement:c.BYTES_PER_ELEMENT,version:o.version,size:d}}function n(o,l,c){let u=l.array,d=l.updateRanges;if(i.bindBuffer(c,o),d.length===0)i.bufferSubData(c,0,u);else{d.sort((f,g)=>f.start-g.start);let h=0;for(let f=1;f<d.length;f++){let g=d[h],b=d[f];b.start<=g.start+g.count+1?g.count=Math.max(g.count,b.start+b.count-g.start):(++h,d[h]=b)}d.length=h+1;for(let f=0,g=d.length;f<g;f++){let b=d[f];i.bufferSubData(c,b.start*u.BYTES_PER_ELEMENT,u,b.start,b.count)}l.clearUpdateRanges()}l.onUploadCallback()}function s(o){return o.isInterleavedBufferAttribute&&(o=o.data),e.get(o)}function r(o){o.isInterleavedBufferAttribute&&(o=o.data);let l=e.get(o);l&&(i.deleteBuffer(l.buffer),e.delete(o))}function a(o,l){if(o.isInterleavedBufferAttribute&&(o=o.data),o.isGLBufferAttribute){let u=e.get(o);(!u||u.version<o.version)&&e.set(o,{buffer:o.buffer,type:o.type,bytesPerElement:o.elementSize,version:o.version});return}let c=e.get(o);if(c===void 0)e.set(o,t(o,l));else if(c.version<o.version){if(c.size!==o.array.byteLength)throw new Error("THREE.WebGLAttributes: The size of the buffer attribute's array buffer does not match the original size. Resizing buffer attributes is not supported.");n(c.buffer,o,l),c.version=o.version}}return{get:s,remove:r,update:a}}var _x=`#ifdef USE_ALPHAHASH
	if ( diffuseColor.a < getAlphaHashThreshold( vPosition ) ) discard;
#endif`,vx=`#ifdef USE_ALPHAHASH
	const float ALPHA_HASH_SCALE = 0.05;
	float hash2D( vec2 value ) {
		return fract( 1.0e4 * sin( 17.0 * value.x + 0.1 * value.y ) * ( 0.1 + abs( sin( 13.0 * value.y + value.x ) ) ) );
	}
	float hash3D( vec3 value ) {
		return hash2D( vec2( hash2D( value.xy ), value.z ) );
	}
	float getAlphaHashThreshold( vec3 position ) {
		float maxDeriv = max(
			length( dFdx( position.xyz ) ),
			length( dFdy( position.xyz ) )
		);
		float pixScale = 1.0 / ( ALPHA_HASH_SCALE * maxDeriv );
		vec2 pixScales = vec2(
			exp2( floor( log2( pixScale ) ) ),
			exp2( ceil( log2( pixScale ) ) )
		);
		vec2 alpha = vec2(
			hash3D( floor( pixScales.x * position.xyz ) ),
			hash3D( floor( pixScales.y * position.xyz ) )
		);
		float lerpFactor = fract( log2( pixScale ) );
		float x = ( 1.0 - lerpFactor ) * alpha.x + lerpFactor * alpha.y;
		float a = min( lerpFactor, 1.0 - lerpFactor );
		vec3 cases = vec3(
			x * x / ( 2.0 * a * ( 1.0 - a ) ),
			( x - 0.5 * a ) / ( 1.0 - a ),
			1.0 - ( ( 1.0 - x ) * ( 1.0 - x ) / ( 2.0 * a * ( 1.0 - a ) ) )
		);
		float threshold = ( x < ( 1.0 - a ) )
			? ( ( x < a ) ? cases.x : cases.y )
			: cases.z;
		return clamp( threshold , 1.0e-6, 1.0 );
	}
#endif`,xx=`#ifdef USE_ALPHAMAP
	diffuseColor.a *= texture2D( alphaMap, vAlphaMapUv ).g;
#endif`,yx=`#ifdef USE_ALPHAMAP
	uniform sampler2D alphaMap;
#endif`,bx=`#ifdef USE_ALPHATEST
	#ifdef ALPHA_TO_COVERAGE
	diffuseColor.a = smoothstep( alphaTest, alphaTest + fwidth( diffuseColor.a ), diffuseColor.a );
	if ( diffuseColor.a == 0.0 ) discard;
	#else
	if ( diffuseColor.a < alphaTest ) discard;
	#endif
#endif`,Sx=`#ifdef USE_ALPHATEST
	uniform float alphaTest;
#endif`,Mx=`#ifdef USE_AOMAP
	float ambientOcclusion = ( texture2D( aoMap, vAoMapUv ).r - 1.0 ) * aoMapIntensity + 1.0;
	reflectedLight.indirectDiffuse *= ambientOcclusion;
	#if defined( USE_CLEARCOAT ) 
		clearcoatSpecularIndirect *= ambientOcclusion;
	#endif
	#if defined( USE_SHEEN ) 
		sheenSpecularIndirect *= ambientOcclusion;
	#endif
	#if defined( USE_ENVMAP ) && defined( STANDARD )
		float dotNV = saturate( dot( geometryNormal, geometryViewDir ) );
		reflectedLight.indirectSpecular *= computeSpecularOcclusion( dotNV, ambientOcclusion, material.roughness );
	#endif
#endif`,wx=`#ifdef USE_AOMAP
	uniform sampler2D aoMap;
	uniform float aoMapIntensity;
#endif`,Tx=`#ifdef USE_BATCHING
	#if ! defined( GL_ANGLE_multi_draw )
	#define gl_DrawID _gl_DrawID
	uniform int _gl_DrawID;
	#endif
	uniform highp sampler2D batchingTexture;
	uniform highp usampler2D batchingIdTexture;
	mat4 getBatchingMatrix( const in float i ) {
		int size = textureSize( batchingTexture, 0 ).x;
		int j = int( i ) * 4;
		int x = j % size;
		int y = j / size;
		vec4 v1 = texelFetch( batchingTexture, ivec2( x, y ), 0 );
		vec4 v2 = texelFetch( batchingTexture, ivec2( x + 1, y ), 0 );
		vec4 v3 = texelFetch( batchingTexture, ivec2( x + 2, y ), 0 );
		vec4 v4 = texelFetch( batchingTexture, ivec2( x + 3, y ), 0 );
		return mat4( v1, v2, v3, v4 );
	}
	float getIndirectIndex( const in int i ) {
		int size = textureSize( batchingIdTexture, 0 ).x;
		int x = i % size;
		int y = i / size;
		return float( texelFetch( batchingIdTexture, ivec2( x, y ), 0 ).r );
	}
#endif
#ifdef USE_BATCHING_COLOR
	uniform sampler2D batchingColorTexture;
	vec4 getBatchingColor( const in float i ) {
		int size = textureSize( batchingColorTexture, 0 ).x;
		int j = int( i );
		int x = j % size;
		int y = j / size;
		return texelFetch( batchingColorTexture, ivec2( x, y ), 0 );
	}
#endif`,Ex=`#ifdef USE_BATCHING
	mat4 batchingMatrix = getBatchingMatrix( getIndirectIndex( gl_DrawID ) );
#endif`,Ax=`vec3 transformed = vec3( position );
#ifdef USE_ALPHAHASH
	vPosition = vec3( position );
#endif`,Cx=`vec3 objectNormal = vec3( normal );
#ifdef USE_TANGENT
	vec3 objectTangent = vec3( tangent.xyz );
#endif`,Rx=`float G_BlinnPhong_Implicit( ) {
	return 0.25;
}
float D_BlinnPhong( const in float shininess, const in float dotNH ) {
	return RECIPROCAL_PI * ( shininess * 0.5 + 1.0 ) * pow( dotNH, shininess );
}
vec3 BRDF_BlinnPhong( const in vec3 lightDir, const in vec3 viewDir, const in vec3 normal, const in vec3 specularColor, const in float shininess ) {
	vec3 halfDir = normalize( lightDir + viewDir );
	float dotNH = saturate( dot( normal, halfDir ) );
	float dotVH = saturate( dot( viewDir, halfDir ) );
	vec3 F = F_Schlick( specularColor, 1.0, dotVH );
	float G = G_BlinnPhong_Implicit( );
	float D = D_BlinnPhong( shininess, dotNH );
	return F * ( G * D );
} // validated`,Px=`#ifdef USE_IRIDESCENCE
	const mat3 XYZ_TO_REC709 = mat3(
		 3.2404542, -0.9692660,  0.0556434,
		-1.5371385,  1.8760108, -0.2040259,
		-0.4985314,  0.0415560,  1.0572252
	);
	vec3 Fresnel0ToIor( vec3 fresnel0 ) {
		vec3 sqrtF0 = sqrt( fresnel0 );
		return ( vec3( 1.0 ) + sqrtF0 ) / ( vec3( 1.0 ) - sqrtF0 );
	}
	vec3 IorToFresnel0( vec3 transmittedIor, float incidentIor ) {
		return pow2( ( transmittedIor - vec3( incidentIor ) ) / ( transmittedIor + vec3( incidentIor ) ) );
	}
	float IorToFresnel0( float transmittedIor, float incidentIor ) {
		return pow2( ( transmittedIor - incidentIor ) / ( transmittedIor + incidentIor ));
	}
	vec3 evalSensitivity( float OPD, vec3 shift ) {
		float phase = 2.0 * PI * OPD * 1.0e-9;
		vec3 val = vec3( 5.4856e-13, 4.4201e-13, 5.2481e-13 );
		vec3 pos = vec3( 1.6810e+06, 1.7953e+06, 2.2084e+06 );
		vec3 var = vec3( 4.3278e+09, 9.3046e+09, 6.6121e+09 );
		vec3 xyz = val * sqrt( 2.0 * PI * var ) * cos( pos * phase + shift ) * exp( - pow2( phase ) * var );
		xyz.x += 9.7470e-14 * sqrt( 2.0 * PI * 4.5282e+09 ) * cos( 2.2399e+06 * phase + shift[ 0 ] ) * exp( - 4.5282e+09 * pow2( phase ) );
		xyz /= 1.0685e-7;
		vec3 rgb = XYZ_TO_REC709 * xyz;
		return rgb;
	}
	vec3 evalIridescence( float outsideIOR, float eta2, float cosTheta1, float thinFilmThickness, vec3 baseF0 ) {
		vec3 I;
		float iridescenceIOR = mix( outsideIOR, eta2, smoothstep( 0.0, 0.03, thinFilmThickness ) );
		float sinTheta2Sq = pow2( outsideIOR / iridescenceIOR ) * ( 1.0 - pow2( cosTheta1 ) );
		float cosTheta2Sq = 1.0 - sinTheta2Sq;
		if ( cosTheta2Sq < 0.0 ) {
			return vec3( 1.0 );
		}
		float cosTheta2 = sqrt( cosTheta2Sq );
		float R0 = IorToFresnel0( iridescenceIOR, outsideIOR );
		float R12 = F_Schlick( R0, 1.0, cosTheta1 );
		float T121 = 1.0 - R12;
		float phi12 = 0.0;
		if ( iridescenceIOR < outsideIOR ) phi12 = PI;
		float phi21 = PI - phi12;
		vec3 baseIOR = Fresnel0ToIor( clamp( baseF0, 0.0, 0.9999 ) );		vec3 R1 = IorToFresnel0( baseIOR, iridescenceIOR );
		vec3 R23 = F_Schlick( R1, 1.0, cosTheta2 );
		vec3 phi23 = vec3( 0.0 );
		if ( baseIOR[ 0 ] < iridescenceIOR ) phi23[ 0 ] = PI;
		if ( baseIOR[ 1 ] < iridescenceIOR ) phi23[ 1 ] = PI;
		if ( baseIOR[ 2 ] < iridescenceIOR ) phi23[ 2 ] = PI;
		float OPD = 2.0 * iridescenceIOR * thinFilmThickness * cosTheta2;
		vec3 phi = vec3( phi21 ) + phi23;
		vec3 R123 = clamp( R12 * R23, 1e-5, 0.9999 );
		vec3 r123 = sqrt( R123 );
		vec3 Rs = pow2( T121 ) * R23 / ( vec3( 1.0 ) - R123 );
		vec3 C0 = R12 + Rs;
		I = C0;
		vec3 Cm = Rs - T121;
		for ( int m = 1; m <= 2; ++ m ) {
			Cm *= r123;
			vec3 Sm = 2.0 * evalSensitivity( float( m ) * OPD, float( m ) * phi );
			I += Cm * Sm;
		}
		return max( I, vec3( 0.0 ) );
	}
#endif`,Ix=`#ifdef USE_BUMPMAP
	uniform sampler2D bumpMap;
	uniform float bumpScale;
	vec2 dHdxy_fwd() {
		vec2 dSTdx = dFdx( vBumpMapUv );
		vec2 dSTdy = dFdy( vBumpMapUv );
		float Hll = bumpScale * texture2D( bumpMap, vBumpMapUv ).x;
		float dBx = bumpScale * texture2D( bumpMap, vBumpMapUv + dSTdx ).x - Hll;
		float dBy = bumpScale * texture2D( bumpMap, vBumpMapUv + dSTdy ).x - Hll;
		return vec2( dBx, dBy );
	}
	vec3 perturbNormalArb( vec3 surf_pos, vec3 surf_norm, vec2 dHdxy, float faceDirection ) {
		vec3 vSigmaX = normalize( dFdx( surf_pos.xyz ) );
		vec3 vSigmaY = normalize( dFdy( surf_pos.xyz ) );
		vec3 vN = surf_norm;
		vec3 R1 = cross( vSigmaY, vN );
		vec3 R2 = cross( vN, vSigmaX );
		float fDet = dot( vSigmaX, R1 ) * faceDirection;
		vec3 vGrad = sign( fDet ) * ( dHdxy.x * R1 + dHdxy.y * R2 );
		return normalize( abs( fDet ) * surf_norm - vGrad );
	}
#endif`,Lx=`#if NUM_CLIPPING_PLANES > 0
	vec4 plane;
	#ifdef ALPHA_TO_COVERAGE
		float distanceToPlane, distanceGradient;
		float clipOpacity = 1.0;
		#pragma unroll_loop_start
		for ( int i = 0; i < UNION_CLIPPING_PLANES; i ++ ) {
			plane = clippingPlanes[ i ];
			distanceToPlane = - dot( vClipPosition, plane.xyz ) + plane.w;
			distanceGradient = fwidth( distanceToPlane ) / 2.0;
			clipOpacity *= smoothstep( - distanceGradient, distanceGradient, distanceToPlane );
			if ( clipOpacity == 0.0 ) discard;
		}
		#pragma unroll_loop_end
		#if UNION_CLIPPING_PLANES < NUM_CLIPPING_PLANES
			float unionClipOpacity = 1.0;
			#pragma unroll_loop_start
			for ( int i = UNION_CLIPPING_PLANES; i < NUM_CLIPPING_PLANES; i ++ ) {
				plane = clippingPlanes[ i ];
				distanceToPlane = - dot( vClipPosition, plane.xyz ) + plane.w;
				distanceGradient = fwidth( distanceToPlane ) / 2.0;
				unionClipOpacity *= 1.0 - smoothstep( - distanceGradient, distanceGradient, distanceToPlane );
			}
			#pragma unroll_loop_end
			clipOpacity *= 1.0 - unionClipOpacity;
		#endif
		diffuseColor.a *= clipOpacity;
		if ( diffuseColor.a == 0.0 ) discard;
	#else
		#pragma unroll_loop_start
		for ( int i = 0; i < UNION_CLIPPING_PLANES; i ++ ) {
			plane = clippingPlanes[ i ];
			if ( dot( vClipPosition, plane.xyz ) > plane.w ) discard;
		}
		#pragma unroll_loop_end
		#if UNION_CLIPPING_PLANES < NUM_CLIPPING_PLANES
			bool clipped = true;
			#pragma unroll_loop_start
			for ( int i = UNION_CLIPPING_PLANES; i < NUM_CLIPPING_PLANES; i ++ ) {
				plane = clippingPlanes[ i ];
				clipped = ( dot( vClipPosition, plane.xyz ) > plane.w ) && clipped;
			}
			#pragma unroll_loop_end
			if ( clipped ) discard;
		#endif
	#endif
#endif`,Nx=`#if NUM_CLIPPING_PLANES > 0
	varying vec3 vClipPosition;
	uniform vec4 clippingPlanes[ NUM_CLIPPING_PLANES ];
#endif`,Dx=`#if NUM_CLIPPING_PLANES > 0
	varying vec3 vClipPosition;
#endif`,Fx=`#if NUM_CLIPPING_PLANES > 0
	vClipPosition = - mvPosition.xyz;
#endif`,Ux=`#if defined( USE_COLOR ) || defined( USE_COLOR_ALPHA )
	diffuseColor *= vColor;
#endif`,Ox=`#if defined( USE_COLOR ) || defined( USE_COLOR_ALPHA )
	varying vec4 vColor;
#endif`,Bx=`#if defined( USE_COLOR ) || defined( USE_COLOR_ALPHA ) || defined( USE_INSTANCING_COLOR ) || defined( USE_BATCHING_COLOR )
	varying vec4 vColor;
#endif`,kx=`#if defined( USE_COLOR ) || defined( USE_COLOR_ALPHA ) || defined( USE_INSTANCING_COLOR ) || defined( USE_BATCHING_COLOR )
	vColor = vec4( 1.0 );
#endif
#ifdef USE_COLOR_ALPHA
	vColor *= color;
#elif defined( USE_COLOR )
	vColor.rgb *= color;
#endif
#ifdef USE_INSTANCING_COLOR
	vColor.rgb *= instanceColor.rgb;
#endif
#ifdef USE_BATCHING_COLOR
	vColor *= getBatchingColor( getIndirectIndex( gl_DrawID ) );
#endif`,zx=`#define PI 3.141592653589793
#define PI2 6.283185307179586
#define PI_HALF 1.5707963267948966
#define RECIPROCAL_PI 0.3183098861837907
#define RECIPROCAL_PI2 0.15915494309189535
#define EPSILON 1e-6
#ifndef saturate
#define saturate( a ) clamp( a, 0.0, 1.0 )
#endif
#define whiteComplement( a ) ( 1.0 - saturate( a ) )
float pow2( const in float x ) { return x*x; }
vec3 pow2( const in vec3 x ) { return x*x; }
float pow3( const in float x ) { return x*x*x; }
float pow4( const in float x ) { float x2 = x*x; return x2*x2; }
float max3( const in vec3 v ) { return max( max( v.x, v.y ), v.z ); }
float average( const in vec3 v ) { return dot( v, vec3( 0.3333333 ) ); }
highp float rand( const in vec2 uv ) {
	const highp float a = 12.9898, b = 78.233, c = 43758.5453;
	highp float dt = dot( uv.xy, vec2( a,b ) ), sn = mod( dt, PI );
	return fract( sin( sn ) * c );
}
#ifdef HIGH_PRECISION
	float precisionSafeLength( vec3 v ) { return length( v ); }
#else
	float precisionSafeLength( vec3 v ) {
		float maxComponent = max3( abs( v ) );
		return length( v / maxComponent ) * maxComponent;
	}
#endif
struct IncidentLight {
	vec3 color;
	vec3 direction;
	bool visible;
};
struct ReflectedLight {
	vec3 directDiffuse;
	vec3 directSpecular;
	vec3 indirectDiffuse;
	vec3 indirectSpecular;
};
#ifdef USE_ALPHAHASH
	varying vec3 vPosition;
#endif
vec3 transformDirection( in vec3 dir, in mat4 matrix ) {
	return normalize( ( matrix * vec4( dir, 0.0 ) ).xyz );
}
#define inverseTransformDirection transformDirectionByInverseViewMatrix
vec3 transformNormalByInverseViewMatrix( in vec3 normal, in mat4 viewMatrix ) {
	return normalize( ( vec4( normal, 0.0 ) * viewMatrix ).xyz );
}
vec3 transformDirectionByInverseViewMatrix( in vec3 dir, in mat4 viewMatrix ) {
	return normalize( ( vec4( dir, 0.0 ) * viewMatrix ).xyz );
}
bool isPerspectiveMatrix( mat4 m ) {
	return m[ 2 ][ 3 ] == - 1.0;
}
vec2 equirectUv( in vec3 dir ) {
	float u = atan( dir.z, dir.x ) * RECIPROCAL_PI2 + 0.5;
	float v = asin( clamp( dir.y, - 1.0, 1.0 ) ) * RECIPROCAL_PI + 0.5;
	return vec2( u, v );
}
vec3 BRDF_Lambert( const in vec3 diffuseColor ) {
	return RECIPROCAL_PI * diffuseColor;
}
vec3 F_Schlick( const in vec3 f0, const in float f90, const in float dotVH ) {
	float fresnel = exp2( ( - 5.55473 * dotVH - 6.98316 ) * dotVH );
	return f0 * ( 1.0 - fresnel ) + ( f90 * fresnel );
}
float F_Schlick( const in float f0, const in float f90, const in float dotVH ) {
	float fresnel = exp2( ( - 5.55473 * dotVH - 6.98316 ) * dotVH );
	return f0 * ( 1.0 - fresnel ) + ( f90 * fresnel );
} // validated`,Vx=`vec3 transformedNormal = objectNormal;
#ifdef USE_TANGENT
	vec3 transformedTangent = objectTangent;
#endif
#ifdef USE_BATCHING
	mat3 bm = mat3( batchingMatrix );
	transformedNormal /= vec3( dot( bm[ 0 ], bm[ 0 ] ), dot( bm[ 1 ], bm[ 1 ] ), dot( bm[ 2 ], bm[ 2 ] ) );
	transformedNormal = bm * transformedNormal;
	#ifdef USE_TANGENT
		transformedTangent = bm * transformedTangent;
	#endif
#endif
#ifdef USE_INSTANCING
	mat3 im = mat3( instanceMatrix );
	transformedNormal /= vec3( dot( im[ 0 ], im[ 0 ] ), dot( im[ 1 ], im[ 1 ] ), dot( im[ 2 ], im[ 2 ] ) );
	transformedNormal = im * transformedNormal;
	#ifdef USE_TANGENT
		transformedTangent = im * transformedTangent;
	#endif
#endif
transformedNormal = normalMatrix * transformedNormal;
#ifdef FLIP_SIDED
	transformedNormal = - transformedNormal;
#endif
#ifdef USE_TANGENT
	transformedTangent = ( modelViewMatrix * vec4( transformedTangent, 0.0 ) ).xyz;
#endif`,Gx=`#ifdef USE_DISPLACEMENTMAP
	uniform sampler2D displacementMap;
	uniform float displacementScale;
	uniform float displacementBias;
#endif`,Hx=`#ifdef USE_DISPLACEMENTMAP
	transformed += normalize( objectNormal ) * ( texture2D( displacementMap, vDisplacementMapUv ).x * displacementScale + displacementBias );
#endif`,Wx=`#ifdef USE_EMISSIVEMAP
	vec4 emissiveColor = texture2D( emissiveMap, vEmissiveMapUv );
	#ifdef DECODE_VIDEO_TEXTURE_EMISSIVE
		emissiveColor = sRGBTransferEOTF( emissiveColor );
	#endif
	totalEmissiveRadiance *= emissiveColor.rgb;
#endif`,Xx=`#ifdef USE_EMISSIVEMAP
	uniform sampler2D emissiveMap;
#endif`,qx="gl_FragColor = linearToOutputTexel( gl_FragColor );",Yx=`vec4 LinearTransferOETF( in vec4 value ) {
	return value;
}
vec4 sRGBTransferEOTF( in vec4 value ) {
	return vec4( mix( pow( value.rgb * 0.9478672986 + vec3( 0.0521327014 ), vec3( 2.4 ) ), value.rgb * 0.0773993808, vec3( lessThanEqual( value.rgb, vec3( 0.04045 ) ) ) ), value.a );
}
vec4 sRGBTransferOETF( in vec4 value ) {
	return vec4( mix( pow( value.rgb, vec3( 0.41666 ) ) * 1.055 - vec3( 0.055 ), value.rgb * 12.92, vec3( lessThanEqual( value.rgb, vec3( 0.0031308 ) ) ) ), value.a );
}`,$x=`#ifdef USE_ENVMAP
	#ifdef ENV_WORLDPOS
		vec3 cameraToFrag;
		if ( isOrthographic ) {
			cameraToFrag = normalize( vec3( - viewMatrix[ 0 ][ 2 ], - viewMatrix[ 1 ][ 2 ], - viewMatrix[ 2 ][ 2 ] ) );
		} else {
			cameraToFrag = normalize( vWorldPosition - cameraPosition );
		}
		vec3 worldNormal = transformNormalByInverseViewMatrix( normal, viewMatrix );
		#ifdef ENVMAP_MODE_REFLECTION
			vec3 reflectVec = reflect( cameraToFrag, worldNormal );
		#else
			vec3 reflectVec = refract( cameraToFrag, worldNormal, refractionRatio );
		#endif
	#else
		vec3 reflectVec = vReflect;
	#endif
	#ifdef ENVMAP_TYPE_CUBE
		vec4 envColor = textureCube( envMap, envMapRotation * reflectVec );
		#ifdef ENVMAP_BLENDING_MULTIPLY
			outgoingLight = mix( outgoingLight, outgoingLight * envColor.xyz, specularStrength * reflectivity );
		#elif defined( ENVMAP_BLENDING_MIX )
			outgoingLight = mix( outgoingLight, envColor.xyz, specularStrength * reflectivity );
		#elif defined( ENVMAP_BLENDING_ADD )
			outgoingLight += envColor.xyz * specularStrength * reflectivity;
		#endif
	#endif
#endif`,Zx=`#ifdef USE_ENVMAP
	uniform float envMapIntensity;
	uniform mat3 envMapRotation;
	uniform samplerCube envMap;
	#ifdef ENVMAP_TYPE_PMREM
		float roughnessToMip( const in float roughness ) {
			float r = clamp( roughness, 0.0, 1.0 );
			return ENVMAP_MAX_LOD * r * ( 2.0 - r );
		}
	#endif
#endif`,Jx=`#ifdef USE_ENVMAP
	uniform float reflectivity;
	#if defined( USE_BUMPMAP ) || defined( USE_NORMALMAP ) || defined( PHONG ) || defined( LAMBERT )
		#define ENV_WORLDPOS
	#endif
	#ifdef ENV_WORLDPOS
		varying vec3 vWorldPosition;
		uniform float refractionRatio;
	#else
		varying vec3 vReflect;
	#endif
#endif`,Kx=`#ifdef USE_ENVMAP
	#if defined( USE_BUMPMAP ) || defined( USE_NORMALMAP ) || defined( PHONG ) || defined( LAMBERT )
		#define ENV_WORLDPOS
	#endif
	#ifdef ENV_WORLDPOS
		
		varying vec3 vWorldPosition;
	#else
		varying vec3 vReflect;
		uniform float refractionRatio;
	#endif
#endif`,jx=`#ifdef USE_ENVMAP
	#ifdef ENV_WORLDPOS
		vWorldPosition = worldPosition.xyz;
	#else
		vec3 cameraToVertex;
		if ( isOrthographic ) {
			cameraToVertex = normalize( vec3( - viewMatrix[ 0 ][ 2 ], - viewMatrix[ 1 ][ 2 ], - viewMatrix[ 2 ][ 2 ] ) );
		} else {
			cameraToVertex = normalize( worldPosition.xyz - cameraPosition );
		}
		vec3 worldNormal = transformNormalByInverseViewMatrix( transformedNormal, viewMatrix );
		#ifdef ENVMAP_MODE_REFLECTION
			vReflect = reflect( cameraToVertex, worldNormal );
		#else
			vReflect = refract( cameraToVertex, worldNormal, refractionRatio );
		#endif
	#endif
#endif`,Qx=`#ifdef USE_FOG
	vFogDepth = - mvPosition.z;
#endif`,ey=`#ifdef USE_FOG
	varying float vFogDepth;
#endif`,ty=`#ifdef USE_FOG
	#ifdef FOG_EXP2
		float fogFactor = 1.0 - exp( - fogDensity * fogDensity * vFogDepth * vFogDepth );
	#else
		float fogFactor = smoothstep( fogNear, fogFar, vFogDepth );
	#endif
	gl_FragColor.rgb = mix( gl_FragColor.rgb, fogColor, fogFactor );
#endif`,ny=`#ifdef USE_FOG
	uniform vec3 fogColor;
	varying float vFogDepth;
	#ifdef FOG_EXP2
		uniform float fogDensity;
	#else
		uniform float fogNear;
		uniform float fogFar;
	#endif
#endif`,iy=`#ifdef USE_GRADIENTMAP
	uniform sampler2D gradientMap;
#endif
vec3 getGradientIrradiance( vec3 normal, vec3 lightDirection ) {
	float dotNL = dot( normal, lightDirection );
	vec2 coord = vec2( dotNL * 0.5 + 0.5, 0.0 );
	#ifdef USE_GRADIENTMAP
		return vec3( texture2D( gradientMap, coord ).r );
	#else
		vec2 fw = fwidth( coord ) * 0.5;
		return mix( vec3( 0.7 ), vec3( 1.0 ), smoothstep( 0.7 - fw.x, 0.7 + fw.x, coord.x ) );
	#endif
}`,sy=`#ifdef USE_LIGHTMAP
	uniform sampler2D lightMap;
	uniform float lightMapIntensity;
#endif`,ry=`LambertMaterial material;
material.diffuseColor = diffuseColor.rgb;
material.specularStrength = specularStrength;`,ay=`varying vec3 vViewPosition;
struct LambertMaterial {
	vec3 diffuseColor;
	float specularStrength;
};
void RE_Direct_Lambert( const in IncidentLight directLight, const in vec3 geometryPosition, const in vec3 geometryNormal, const in vec3 geometryViewDir, const in vec3 geometryClearcoatNormal, const in LambertMaterial material, inout ReflectedLight reflectedLight ) {
	float dotNL = saturate( dot( geometryNormal, directLight.direction ) );
	vec3 irradiance = dotNL * directLight.color;
	reflectedLight.directDiffuse += irradiance * BRDF_Lambert( material.diffuseColor );
}
void RE_IndirectDiffuse_Lambert( const in vec3 irradiance, const in vec3 geometryPosition, const in vec3 geometryNormal, const in vec3 geometryViewDir, const in vec3 geometryClearcoatNormal, const in LambertMaterial material, inout ReflectedLight reflectedLight ) {
	reflectedLight.indirectDiffuse += irradiance * BRDF_Lambert( material.diffuseColor );
}
#define RE_Direct				RE_Direct_Lambert
#define RE_IndirectDiffuse		RE_IndirectDiffuse_Lambert`,oy=`uniform bool receiveShadow;
uniform vec3 ambientLightColor;
#if defined( USE_LIGHT_PROBES )
	uniform vec3 lightProbe[ 9 ];
#endif
vec3 shGetIrradianceAt( in vec3 normal, in vec3 shCoefficients[ 9 ] ) {
	float x = normal.x, y = normal.y, z = normal.z;
	vec3 result = shCoefficients[ 0 ] * 0.886227;
	result += shCoefficients[ 1 ] * 2.0 * 0.511664 * y;
	result += shCoefficients[ 2 ] * 2.0 * 0.511664 * z;
	result += shCoefficients[ 3 ] * 2.0 * 0.511664 * x;
	result += shCoefficients[ 4 ] * 2.0 * 0.429043 * x * y;
	result += shCoefficients[ 5 ] * 2.0 * 0.429043 * y * z;
	result += shCoefficients[ 6 ] * ( 0.743125 * z * z - 0.247708 );
	result += shCoefficients[ 7 ] * 2.0 * 0.429043 * x * z;
	result += shCoefficients[ 8 ] * 0.429043 * ( x * x - y * y );
	return result;
}
vec3 getLightProbeIrradiance( const in vec3 lightProbe[ 9 ], const in vec3 normal ) {
	vec3 worldNormal = transformNormalByInverseViewMatrix( normal, viewMatrix );
	vec3 irradiance = shGetIrradianceAt( worldNormal, lightProbe );
	return irradiance;
}
vec3 getAmbientLightIrradiance( const in vec3 ambientLightColor ) {
	vec3 irradiance = ambientLightColor;
	return irradiance;
}
float getDistanceAttenuation( const in float lightDistance, const in float cutoffDistance, const in float decayExponent ) {
	float distanceFalloff = 1.0 / max( pow( lightDistance, decayExponent ), 0.01 );
	if ( cutoffDistance > 0.0 ) {
		distanceFalloff *= pow2( saturate( 1.0 - pow4( lightDistance / cutoffDistance ) ) );
	}
	return distanceFalloff;
}
float getSpotAttenuation( const in float coneCosine, const in float penumbraCosine, const in float angleCosine ) {
	return smoothstep( coneCosine, penumbraCosine, angleCosine );
}
#if NUM_SUN_LIGHTS > 0
	struct SunLight {
		vec3 direction;
		vec3 color;
	};
	uniform SunLight sunLights[ NUM_SUN_LIGHTS ];
	void getSunLightInfo( const in SunLight sunLight, out IncidentLight light ) {
		light.color = sunLight.color;
		light.direction = sunLight.direction;
		light.visible = true;
	}
#endif
#if NUM_DIR_LIGHTS > 0
	struct DirectionalLight {
		vec3 direction;
		vec3 color;
	};
	uniform DirectionalLight directionalLights[ NUM_DIR_LIGHTS ];
	void getDirectionalLightInfo( const in DirectionalLight directionalLight, out IncidentLight light ) {
		light.color = directionalLight.color;
		light.direction = directionalLight.direction;
		light.visible = true;
	}
#endif
#if NUM_POINT_LIGHTS > 0
	struct PointLight {
		vec3 position;
		vec3 color;
		float distance;
		float decay;
	};
	uniform PointLight pointLights[ NUM_POINT_LIGHTS ];
	void getPointLightInfo( const in PointLight pointLight, const in vec3 geometryPosition, out IncidentLight light ) {
		vec3 lVector = pointLight.position - geometryPosition;
		light.direction = normalize( lVector );
		float lightDistance = length( lVector );
		light.color = pointLight.color;
		light.color *= getDistanceAttenuation( lightDistance, pointLight.distance, pointLight.decay );
		light.visible = ( light.color != vec3( 0.0 ) );
	}
#endif
#if NUM_SPOT_LIGHTS > 0
	struct SpotLight {
		vec3 position;
		vec3 direction;
		vec3 color;
		float distance;
		float decay;
		float coneCos;
		float penumbraCos;
	};
	uniform SpotLight spotLights[ NUM_SPOT_LIGHTS ];
	void getSpotLightInfo( const in SpotLight spotLight, const in vec3 geometryPosition, out IncidentLight light ) {
		vec3 lVector = spotLight.position - geometryPosition;
		light.direction = normalize( lVector );
		float angleCos = dot( light.direction, spotLight.direction );
		float spotAttenuation = getSpotAttenuation( spotLight.coneCos, spotLight.penumbraCos, angleCos );
		if ( spotAttenuation > 0.0 ) {
			float lightDistance = length( lVector );
			light.color = spotLight.color * spotAttenuation;
			light.color *= getDistanceAttenuation( lightDistance, spotLight.distance, spotLight.decay );
			light.visible = ( light.color != vec3( 0.0 ) );
		} else {
			light.color = vec3( 0.0 );
			light.visible = false;
		}
	}
#endif
#if NUM_RECT_AREA_LIGHTS > 0
	struct RectAreaLight {
		vec3 color;
		vec3 position;
		vec3 halfWidth;
		vec3 halfHeight;
	};
	uniform sampler2D ltc_1;	uniform sampler2D ltc_2;
	uniform RectAreaLight rectAreaLights[ NUM_RECT_AREA_LIGHTS ];
#endif
#if NUM_HEMI_LIGHTS > 0
	struct HemisphereLight {
		vec3 direction;
		vec3 skyColor;
		vec3 groundColor;
	};
	uniform HemisphereLight hemisphereLights[ NUM_HEMI_LIGHTS ];
	vec3 getHemisphereLightIrradiance( const in HemisphereLight hemiLight, const in vec3 normal ) {
		float dotNL = dot( normal, hemiLight.direction );
		float hemiDiffuseWeight = 0.5 * dotNL + 0.5;
		vec3 irradiance = mix( hemiLight.groundColor, hemiLight.skyColor, hemiDiffuseWeight );
		return irradiance;
	}
#endif
#include <lightprobes_pars_fragment>`,ly=`#ifdef USE_ENVMAP
	vec3 getIBLIrradiance( const in vec3 normal ) {
		#ifdef ENVMAP_TYPE_PMREM
			vec3 worldNormal = transformNormalByInverseViewMatrix( normal, viewMatrix );
			vec4 envMapColor = textureLod( envMap, envMapRotation * worldNormal, ENVMAP_MAX_LOD );
			return PI * envMapColor.rgb * envMapIntensity;
		#else
			return vec3( 0.0 );
		#endif
	}
	vec3 getIBLRadiance( const in vec3 viewDir, const in vec3 normal, const in float roughness ) {
		#ifdef ENVMAP_TYPE_PMREM
			vec3 reflectVec = reflect( - viewDir, normal );
			reflectVec = normalize( mix( reflectVec, normal, pow4( roughness ) ) );
			reflectVec = transformDirectionByInverseViewMatrix( reflectVec, viewMatrix );
			vec4 envMapColor = textureLod( envMap, envMapRotation * reflectVec, roughnessToMip( roughness ) );
			return envMapColor.rgb * envMapIntensity;
		#else
			return vec3( 0.0 );
		#endif
	}
	#ifdef USE_RETROREFLECTION
		vec3 getIBLRetroRadiance( const in vec3 viewDir, const in vec3 normal, const in float roughness ) {
			#ifdef ENVMAP_TYPE_PMREM
				vec3 retroVec = normalize( mix( viewDir, normal, pow4( roughness ) ) );
				retroVec = transformDirectionByInverseViewMatrix( retroVec, viewMatrix );
				vec4 envMapColor = textureLod( envMap, envMapRotation * retroVec, roughnessToMip( roughness ) );
				return envMapColor.rgb * envMapIntensity;
			#else
				return vec3( 0.0 );
			#endif
		}
	#endif
	#ifdef USE_ANISOTROPY
		vec3 getIBLAnisotropyRadiance( const in vec3 viewDir, const in vec3 normal, const in float roughness, const in vec3 bitangent, const in float anisotropy ) {
			#ifdef ENVMAP_TYPE_PMREM
				vec3 bentNormal = cross( bitangent, viewDir );
				bentNormal = normalize( cross( bentNormal, bitangent ) );
				bentNormal = normalize( mix( bentNormal, normal, pow2( pow2( 1.0 - anisotropy * ( 1.0 - roughness ) ) ) ) );
				return getIBLRadiance( viewDir, bentNormal, roughness );
			#else
				return vec3( 0.0 );
			#endif
		}
		#ifdef USE_RETROREFLECTION
			vec3 getIBLAnisotropyRetroRadiance( const in vec3 viewDir, const in vec3 normal, const in float roughness, const in vec3 bitangent, const in float anisotropy ) {
				#ifdef ENVMAP_TYPE_PMREM
					vec3 bentNormal = cross( bitangent, viewDir );
					bentNormal = normalize( cross( bentNormal, bitangent ) );
					bentNormal = normalize( mix( bentNormal, normal, pow2( pow2( 1.0 - anisotropy * ( 1.0 - roughness ) ) ) ) );
					return getIBLRetroRadiance( viewDir, bentNormal, roughness );
				#else
					return vec3( 0.0 );
				#endif
			}
		#endif
	#endif
#endif`,cy=`ToonMaterial material;
material.diffuseColor = diffuseColor.rgb;`,hy=`varying vec3 vViewPosition;
struct ToonMaterial {
	vec3 diffuseColor;
};
void RE_Direct_Toon( const in IncidentLight directLight, const in vec3 geometryPosition, const in vec3 geometryNormal, const in vec3 geometryViewDir, const in vec3 geometryClearcoatNormal, const in ToonMaterial material, inout ReflectedLight reflectedLight ) {
	vec3 irradiance = getGradientIrradiance( geometryNormal, directLight.direction ) * directLight.color;
	reflectedLight.directDiffuse += irradiance * BRDF_Lambert( material.diffuseColor );
}
void RE_IndirectDiffuse_Toon( const in vec3 irradiance, const in vec3 geometryPosition, const in vec3 geometryNormal, const in vec3 geometryViewDir, const in vec3 geometryClearcoatNormal, const in ToonMaterial material, inout ReflectedLight reflectedLight ) {
	reflectedLight.indirectDiffuse += irradiance * BRDF_Lambert( material.diffuseColor );
}
#define RE_Direct				RE_Direct_Toon
#define RE_IndirectDiffuse		RE_IndirectDiffuse_Toon`,uy=`BlinnPhongMaterial material;
material.diffuseColor = diffuseColor.rgb;
material.specularColor = specular;
material.specularShininess = shininess;
material.specularStrength = specularStrength;`,dy=`varying vec3 vViewPosition;
struct BlinnPhongMaterial {
	vec3 diffuseColor;
	vec3 specularColor;
	float specularShininess;
	float specularStrength;
};
void RE_Direct_BlinnPhong( const in IncidentLight directLight, const in vec3 geometryPosition, const in vec3 geometryNormal, const in vec3 geometryViewDir, const in vec3 geometryClearcoatNormal, const in BlinnPhongMaterial material, inout ReflectedLight reflectedLight ) {
	float dotNL = saturate( dot( geometryNormal, directLight.direction ) );
	vec3 irradiance = dotNL * directLight.color;
	reflectedLight.directDiffuse += irradiance * BRDF_Lambert( material.diffuseColor );
	reflectedLight.directSpecular += irradiance * BRDF_BlinnPhong( directLight.direction, geometryViewDir, geometryNormal, material.specularColor, material.specularShininess ) * material.specularStrength;
}
void RE_IndirectDiffuse_BlinnPhong( const in vec3 irradiance, const in vec3 geometryPosition, const in vec3 geometryNormal, const in vec3 geometryViewDir, const in vec3 geometryClearcoatNormal, const in BlinnPhongMaterial material, inout ReflectedLight reflectedLight ) {
	reflectedLight.indirectDiffuse += irradiance * BRDF_Lambert( material.diffuseColor );
}
#define RE_Direct				RE_Direct_BlinnPhong
#define RE_IndirectDiffuse		RE_IndirectDiffuse_BlinnPhong`,fy=`PhysicalMaterial material;
material.diffuseColor = diffuseColor.rgb;
material.diffuseContribution = diffuseColor.rgb * ( 1.0 - metalnessFactor );
material.metalness = metalnessFactor;
vec3 dxy = max( abs( dFdx( nonPerturbedNormal ) ), abs( dFdy( nonPerturbedNormal ) ) );
float geometryRoughness = max( max( dxy.x, dxy.y ), dxy.z );
material.roughness = max( roughnessFactor, 0.045 );
material.roughness += geometryRoughness;
material.roughness = min( material.roughness, 1.0 );
#ifdef USE_DIFFUSE_ROUGHNESS
	float diffuseRoughnessFactor = diffuseRoughness;
	#ifdef USE_DIFFUSE_ROUGHNESSMAP
		diffuseRoughnessFactor *= texture2D( diffuseRoughnessMap, vDiffuseRoughnessMapUv ).r;
	#endif
	material.diffuseRoughness = saturate( diffuseRoughnessFactor );
#endif
#ifdef IOR
	material.ior = ior;
	#ifdef USE_SPECULAR
		float specularIntensityFactor = specularIntensity;
		vec3 specularColorFactor = specularColor;
		#ifdef USE_SPECULAR_COLORMAP
			specularColorFactor *= texture2D( specularColorMap, vSpecularColorMapUv ).rgb;
		#endif
		#ifdef USE_SPECULAR_INTENSITYMAP
			specularIntensityFactor *= texture2D( specularIntensityMap, vSpecularIntensityMapUv ).a;
		#endif
		material.specularF90 = mix( specularIntensityFactor, 1.0, metalnessFactor );
	#else
		float specularIntensityFactor = 1.0;
		vec3 specularColorFactor = vec3( 1.0 );
		material.specularF90 = 1.0;
	#endif
	material.specularColor = min( pow2( ( material.ior - 1.0 ) / ( material.ior + 1.0 ) ) * specularColorFactor, vec3( 1.0 ) ) * specularIntensityFactor;
	material.specularColorBlended = mix( material.specularColor, diffuseColor.rgb, metalnessFactor );
#else
	material.specularColor = vec3( 0.04 );
	material.specularColorBlended = mix( material.specularColor, diffuseColor.rgb, metalnessFactor );
	material.specularF90 = 1.0;
#endif
#ifdef USE_CLEARCOAT
	material.clearcoat = clearcoat;
	material.clearcoatRoughness = clearcoatRoughness;
	material.clearcoatF0 = vec3( 0.04 );
	material.clearcoatF90 = 1.0;
	#ifdef USE_CLEARCOATMAP
		material.clearcoat *= texture2D( clearcoatMap, vClearcoatMapUv ).x;
	#endif
	#ifdef USE_CLEARCOAT_ROUGHNESSMAP
		material.clearcoatRoughness *= texture2D( clearcoatRoughnessMap, vClearcoatRoughnessMapUv ).y;
	#endif
	material.clearcoat = saturate( material.clearcoat );	material.clearcoatRoughness = max( material.clearcoatRoughness, 0.045 );
	material.clearcoatRoughness += geometryRoughness;
	material.clearcoatRoughness = min( material.clearcoatRoughness, 1.0 );
#endif
#ifdef USE_DISPERSION
	material.dispersion = dispersion;
#endif
#ifdef USE_RETROREFLECTION
	material.retroreflectivity = retroreflectivity;
#endif
#ifdef USE_IRIDESCENCE
	material.iridescence = iridescence;
	material.iridescenceIOR = iridescenceIOR;
	#ifdef USE_IRIDESCENCEMAP
		material.iridescence *= texture2D( iridescenceMap, vIridescenceMapUv ).r;
	#endif
	#ifdef USE_IRIDESCENCE_THICKNESSMAP
		material.iridescenceThickness = (iridescenceThicknessMaximum - iridescenceThicknessMinimum) * texture2D( iridescenceThicknessMap, vIridescenceThicknessMapUv ).g + iridescenceThicknessMinimum;
	#else
		material.iridescenceThickness = iridescenceThicknessMaximum;
	#endif
#endif
#ifdef USE_SHEEN
	material.sheenColor = sheenColor;
	#ifdef USE_SHEEN_COLORMAP
		material.sheenColor *= texture2D( sheenColorMap, vSheenColorMapUv ).rgb;
	#endif
	material.sheenRoughness = clamp( sheenRoughness, 0.0001, 1.0 );
	#ifdef USE_SHEEN_ROUGHNESSMAP
		material.sheenRoughness *= texture2D( sheenRoughnessMap, vSheenRoughnessMapUv ).a;
	#endif
#endif
#ifdef USE_ANISOTROPY
	#ifdef USE_ANISOTROPYMAP
		mat2 anisotropyMat = mat2( anisotropyVector.x, anisotropyVector.y, - anisotropyVector.y, anisotropyVector.x );
		vec3 anisotropyPolar = texture2D( anisotropyMap, vAnisotropyMapUv ).rgb;
		vec2 anisotropyV = anisotropyMat * normalize( 2.0 * anisotropyPolar.rg - vec2( 1.0 ) ) * anisotropyPolar.b;
	#else
		vec2 anisotropyV = anisotropyVector;
	#endif
	material.anisotropy = length( anisotropyV );
	if( material.anisotropy == 0.0 ) {
		anisotropyV = vec2( 1.0, 0.0 );
	} else {
		anisotropyV /= material.anisotropy;
		material.anisotropy = saturate( material.anisotropy );
	}
	material.alphaT = mix( pow2( material.roughness ), 1.0, pow2( material.anisotropy ) );
	material.anisotropyT = tbn[ 0 ] * anisotropyV.x + tbn[ 1 ] * anisotropyV.y;
	material.anisotropyB = tbn[ 1 ] * anisotropyV.x - tbn[ 0 ] * anisotropyV.y;
#endif`,py=`uniform sampler2D dfgLUT;
struct PhysicalMaterial {
	vec3 diffuseColor;
	vec3 diffuseContribution;
	vec3 specularColor;
	vec3 specularColorBlended;
	float roughness;
	float metalness;
	float specularF90;
	float dispersion;
	vec2 dfg;
	vec3 multiScatteringCompensation;
	#ifdef USE_DIFFUSE_ROUGHNESS
		float diffuseRoughness;
	#endif
	#ifdef USE_RETROREFLECTION
		float retroreflectivity;
	#endif
	#ifdef USE_CLEARCOAT
		float clearcoat;
		float clearcoatRoughness;
		vec3 clearcoatF0;
		float clearcoatF90;
	#endif
	#ifdef USE_IRIDESCENCE
		float iridescence;
		float iridescenceIOR;
		float iridescenceThickness;
		vec3 iridescenceFresnel;
		vec3 iridescenceF0Dielectric;
		vec3 iridescenceF0Metallic;
	#endif
	#ifdef USE_SHEEN
		vec3 sheenColor;
		float sheenRoughness;
	#endif
	#ifdef IOR
		float ior;
	#endif
	#ifdef USE_TRANSMISSION
		float transmission;
		float transmissionAlpha;
		float thickness;
		float attenuationDistance;
		vec3 attenuationColor;
	#endif
	#ifdef USE_ANISOTROPY
		float anisotropy;
		float alphaT;
		vec3 anisotropyT;
		vec3 anisotropyB;
	#endif
};
vec3 clearcoatSpecularDirect = vec3( 0.0 );
vec3 clearcoatSpecularIndirect = vec3( 0.0 );
vec3 sheenSpecularDirect = vec3( 0.0 );
vec3 sheenSpecularIndirect = vec3(0.0 );
vec3 Schlick_to_F0( const in vec3 f, const in float f90, const in float dotVH ) {
    float x = clamp( 1.0 - dotVH, 0.0, 1.0 );
    float x2 = x * x;
    float x5 = clamp( x * x2 * x2, 0.0, 0.9999 );
    return ( f - vec3( f90 ) * x5 ) / ( 1.0 - x5 );
}
#ifdef USE_DIFFUSE_ROUGHNESS
	const float EON_EPSILON = 1e-7;
	float FON_DirectionalAlbedo( const in float mu, const in float roughness, const in float A ) {
		float muComp = 1.0 - mu;
		float gOverPi = muComp * ( 0.0571085289 + muComp * ( 0.491881867 + muComp * ( - 0.332181442 + muComp * 0.0714429953 ) ) );
		return A * ( 1.0 + roughness * gOverPi );
	}
	vec3 BRDF_EON( const in vec3 lightDir, const in vec3 viewDir, const in vec3 normal, const in vec3 diffuseColor, const in float roughness ) {
		vec3 rho = saturate( diffuseColor );
		if ( roughness <= EON_EPSILON ) return BRDF_Lambert( rho );
		float dotNL = saturate( dot( normal, lightDir ) );
		float dotNV = saturate( dot( normal, viewDir ) );
		float s = dot( lightDir, viewDir ) - dotNL * dotNV;
		float sOverT = ( s > 0.0 ) ? s / max( max( dotNL, dotNV ), EON_EPSILON ) : s;
		float A = 1.0 / ( 1.0 + ( 0.5 - 2.0 / ( 3.0 * PI ) ) * roughness );
		vec3 singleScatter = rho * RECIPROCAL_PI * A * ( 1.0 + roughness * sOverT );
		float averageAlbedo = A * ( 1.0 + ( 2.0 / 3.0 - 28.0 / ( 15.0 * PI ) ) * roughness );
		float albedoV = FON_DirectionalAlbedo( dotNV, roughness, A );
		float albedoL = FON_DirectionalAlbedo( dotNL, roughness, A );
		vec3 rhoMultiScatter = rho * rho * averageAlbedo / max( vec3( EON_EPSILON ), vec3( 1.0 ) - rho * ( 1.0 - averageAlbedo ) );
		vec3 multiScatter = rhoMultiScatter * RECIPROCAL_PI
			* max( EON_EPSILON, 1.0 - albedoV )
			* max( EON_EPSILON, 1.0 - albedoL )
			/ max( EON_EPSILON, 1.0 - averageAlbedo );
		return singleScatter + multiScatter;
	}
	vec3 EON_DirectionalAlbedo( const in vec3 diffuseColor, const in float roughness, const in float dotNV ) {
		vec3 rho = saturate( diffuseColor );
		if ( roughness <= EON_EPSILON ) return rho;
		float A = 1.0 / ( 1.0 + ( 0.5 - 2.0 / ( 3.0 * PI ) ) * roughness );
		float directionalAlbedo = FON_DirectionalAlbedo( dotNV, roughness, A );
		float averageAlbedo = A * ( 1.0 + ( 2.0 / 3.0 - 28.0 / ( 15.0 * PI ) ) * roughness );
		vec3 rhoMultiScatter = rho * rho * averageAlbedo / max( vec3( EON_EPSILON ), vec3( 1.0 ) - rho * ( 1.0 - averageAlbedo ) );
		return rho * directionalAlbedo + rhoMultiScatter * ( 1.0 - directionalAlbedo );
	}
#endif
float V_GGX_SmithCorrelated( const in float alpha, const in float dotNL, const in float dotNV ) {
	float a2 = pow2( alpha );
	float gv = dotNL * sqrt( a2 + ( 1.0 - a2 ) * pow2( dotNV ) );
	float gl = dotNV * sqrt( a2 + ( 1.0 - a2 ) * pow2( dotNL ) );
	return 0.5 / max( gv + gl, EPSILON );
}
float D_GGX( const in float alpha, const in float dotNH ) {
	float a2 = pow2( alpha );
	float denom = pow2( dotNH ) * ( a2 - 1.0 ) + 1.0;
	return RECIPROCAL_PI * a2 / pow2( denom );
}
#ifdef USE_ANISOTROPY
	float V_GGX_SmithCorrelated_Anisotropic( const in float alphaT, const in float alphaB, const in float dotTV, const in float dotBV, const in float dotTL, const in float dotBL, const in float dotNV, const in float dotNL ) {
		float gv = dotNL * length( vec3( alphaT * dotTV, alphaB * dotBV, dotNV ) );
		float gl = dotNV * length( vec3( alphaT * dotTL, alphaB * dotBL, dotNL ) );
		return 0.5 / max( gv + gl, EPSILON );
	}
	float D_GGX_Anisotropic( const in float alphaT, const in float alphaB, const in float dotNH, const in float dotTH, const in float dotBH ) {
		float a2 = alphaT * alphaB;
		highp vec3 v = vec3( alphaB * dotTH, alphaT * dotBH, a2 * dotNH );
		highp float v2 = dot( v, v );
		float w2 = a2 / v2;
		return RECIPROCAL_PI * a2 * pow2 ( w2 );
	}
#endif
#ifdef USE_CLEARCOAT
	vec3 BRDF_GGX_Clearcoat( const in vec3 lightDir, const in vec3 viewDir, const in vec3 normal, const in PhysicalMaterial material) {
		vec3 f0 = material.clearcoatF0;
		float f90 = material.clearcoatF90;
		float roughness = max( material.clearcoatRoughness, 0.045 );
		float alpha = pow2( roughness );
		vec3 halfDir = normalize( lightDir + viewDir );
		float dotNL = saturate( dot( normal, lightDir ) );
		float dotNV = saturate( dot( normal, viewDir ) );
		float dotNH = saturate( dot( normal, halfDir ) );
		float dotVH = saturate( dot( viewDir, halfDir ) );
		vec3 F = F_Schlick( f0, f90, dotVH );
		float V = V_GGX_SmithCorrelated( alpha, dotNL, dotNV );
		float D = D_GGX( alpha, dotNH );
		return F * ( V * D );
	}
#endif
vec3 BRDF_GGX( const in vec3 lightDir, const in vec3 viewDir, const in vec3 normal, const in PhysicalMaterial material ) {
	vec3 f0 = material.specularColorBlended;
	float f90 = material.specularF90;
	float roughness = max( material.roughness, 0.045 );
	float alpha = pow2( roughness );
	vec3 halfDir = normalize( lightDir + viewDir );
	float dotNL = saturate( dot( normal, lightDir ) );
	float dotNV = saturate( dot( normal, viewDir ) );
	float dotNH = saturate( dot( normal, halfDir ) );
	float dotVH = saturate( dot( viewDir, halfDir ) );
	vec3 F = F_Schlick( f0, f90, dotVH );
	#ifdef USE_IRIDESCENCE
		F = mix( F, material.iridescenceFresnel, material.iridescence );
	#endif
	#ifdef USE_ANISOTROPY
		float dotTL = dot( material.anisotropyT, lightDir );
		float dotTV = dot( material.anisotropyT, viewDir );
		float dotTH = dot( material.anisotropyT, halfDir );
		float dotBL = dot( material.anisotropyB, lightDir );
		float dotBV = dot( material.anisotropyB, viewDir );
		float dotBH = dot( material.anisotropyB, halfDir );
		float alphaT = max( material.alphaT, alpha );
		float V = V_GGX_SmithCorrelated_Anisotropic( alphaT, alpha, dotTV, dotBV, dotTL, dotBL, dotNV, dotNL );
		float D = D_GGX_Anisotropic( alphaT, alpha, dotNH, dotTH, dotBH );
	#else
		float V = V_GGX_SmithCorrelated( alpha, dotNL, dotNV );
		float D = D_GGX( alpha, dotNH );
	#endif
	return F * ( V * D );
}
vec2 LTC_Uv( const in vec3 N, const in vec3 V, const in float roughness ) {
	const float LUT_SIZE = 64.0;
	const float LUT_SCALE = ( LUT_SIZE - 1.0 ) / LUT_SIZE;
	const float LUT_BIAS = 0.5 / LUT_SIZE;
	float dotNV = saturate( dot( N, V ) );
	vec2 uv = vec2( roughness, sqrt( 1.0 - dotNV ) );
	uv = uv * LUT_SCALE + LUT_BIAS;
	return uv;
}
float LTC_ClippedSphereFormFactor( const in vec3 f ) {
	float l = length( f );
	return max( ( l * l + f.z ) / ( l + 1.0 ), 0.0 );
}
vec3 LTC_EdgeVectorFormFactor( const in vec3 v1, const in vec3 v2 ) {
	float x = dot( v1, v2 );
	float y = abs( x );
	float a = 0.8543985 + ( 0.4965155 + 0.0145206 * y ) * y;
	float b = 3.4175940 + ( 4.1616724 + y ) * y;
	float v = a / b;
	float theta_sintheta = ( x > 0.0 ) ? v : 0.5 * inversesqrt( max( 1.0 - x * x, 1e-7 ) ) - v;
	return cross( v1, v2 ) * theta_sintheta;
}
vec3 LTC_Evaluate( const in vec3 N, const in vec3 V, const in vec3 P, const in mat3 mInv, const in vec3 rectCoords[ 4 ] ) {
	vec3 v1 = rectCoords[ 1 ] - rectCoords[ 0 ];
	vec3 v2 = rectCoords[ 3 ] - rectCoords[ 0 ];
	vec3 lightNormal = cross( v1, v2 );
	if( dot( lightNormal, P - rectCoords[ 0 ] ) < 0.0 ) return vec3( 0.0 );
	vec3 T1, T2;
	T1 = normalize( V - N * dot( V, N ) );
	T2 = - cross( N, T1 );
	mat3 mat = mInv * transpose( mat3( T1, T2, N ) );
	vec3 coords[ 4 ];
	coords[ 0 ] = mat * ( rectCoords[ 0 ] - P );
	coords[ 1 ] = mat * ( rectCoords[ 1 ] - P );
	coords[ 2 ] = mat * ( rectCoords[ 2 ] - P );
	coords[ 3 ] = mat * ( rectCoords[ 3 ] - P );
	coords[ 0 ] = normalize( coords[ 0 ] );
	coords[ 1 ] = normalize( coords[ 1 ] );
	coords[ 2 ] = normalize( coords[ 2 ] );
	coords[ 3 ] = normalize( coords[ 3 ] );
	vec3 vectorFormFactor = vec3( 0.0 );
	vectorFormFactor += LTC_EdgeVectorFormFactor( coords[ 0 ], coords[ 1 ] );
	vectorFormFactor += LTC_EdgeVectorFormFactor( coords[ 1 ], coords[ 2 ] );
	vectorFormFactor += LTC_EdgeVectorFormFactor( coords[ 2 ], coords[ 3 ] );
	vectorFormFactor += LTC_EdgeVectorFormFactor( coords[ 3 ], coords[ 0 ] );
	float result = LTC_ClippedSphereFormFactor( vectorFormFactor );
	return vec3( result );
}
#if defined( USE_SHEEN )
float D_Charlie( float roughness, float dotNH ) {
	float alpha = pow2( roughness );
	float invAlpha = 1.0 / alpha;
	float cos2h = dotNH * dotNH;
	float sin2h = max( 1.0 - cos2h, 0.0078125 );
	return ( 2.0 + invAlpha ) * pow( sin2h, invAlpha * 0.5 ) / ( 2.0 * PI );
}
float V_Neubelt( float dotNV, float dotNL ) {
	return saturate( 1.0 / ( 4.0 * ( dotNL + dotNV - dotNL * dotNV ) ) );
}
vec3 BRDF_Sheen( const in vec3 lightDir, const in vec3 viewDir, const in vec3 normal, vec3 sheenColor, const in float sheenRoughness ) {
	vec3 halfDir = normalize( lightDir + viewDir );
	float dotNL = saturate( dot( normal, lightDir ) );
	float dotNV = saturate( dot( normal, viewDir ) );
	float dotNH = saturate( dot( normal, halfDir ) );
	float D = D_Charlie( sheenRoughness, dotNH );
	float V = V_Neubelt( dotNV, dotNL );
	return sheenColor * ( D * V );
}
#endif
float IBLSheenBRDF( const in vec3 normal, const in vec3 viewDir, const in float roughness ) {
	float dotNV = saturate( dot( normal, viewDir ) );
	float r2 = roughness * roughness;
	float rInv = 1.0 / ( roughness + 0.1 );
	float a = -1.9362 + 1.0678 * roughness + 0.4573 * r2 - 0.8469 * rInv;
	float b = -0.6014 + 0.5538 * roughness - 0.4670 * r2 - 0.1255 * rInv;
	float DG = exp( a * dotNV + b );
	return saturate( DG );
}
vec3 EnvironmentBRDF( const in vec3 normal, const in vec3 viewDir, const in vec3 specularColor, const in float specularF90, const in float roughness ) {
	float dotNV = saturate( dot( normal, viewDir ) );
	vec2 fab = texture2D( dfgLUT, vec2( roughness, dotNV ) ).rg;
	return specularColor * fab.x + specularF90 * fab.y;
}
#ifdef USE_IRIDESCENCE
void computeMultiscatteringIridescence( const in vec2 fab, const in vec3 specularColor, const in float specularF90, const in float iridescence, const in vec3 iridescenceF0, inout vec3 singleScatter, inout vec3 multiScatter ) {
#else
void computeMultiscattering( const in vec2 fab, const in vec3 specularColor, const in float specularF90, inout vec3 singleScatter, inout vec3 multiScatter ) {
#endif
	#ifdef USE_IRIDESCENCE
		vec3 Fr = mix( specularColor, iridescenceF0, iridescence );
	#else
		vec3 Fr = specularColor;
	#endif
	vec3 FssEss = Fr * fab.x + specularF90 * fab.y;
	float Ess = fab.x + fab.y;
	float Ems = 1.0 - Ess;
	vec3 Favg = Fr + ( 1.0 - Fr ) * 0.047619;	vec3 Fms = FssEss * Favg / ( 1.0 - Ems * Favg );
	singleScatter += FssEss;
	multiScatter += Fms * Ems;
}
#if NUM_RECT_AREA_LIGHTS > 0
	void RE_Direct_RectArea_Physical( const in RectAreaLight rectAreaLight, const in vec3 geometryPosition, const in vec3 geometryNormal, const in vec3 geometryViewDir, const in vec3 geometryClearcoatNormal, const in PhysicalMaterial material, inout ReflectedLight reflectedLight ) {
		vec3 normal = geometryNormal;
		vec3 viewDir = geometryViewDir;
		vec3 position = geometryPosition;
		vec3 lightPos = rectAreaLight.position;
		vec3 halfWidth = rectAreaLight.halfWidth;
		vec3 halfHeight = rectAreaLight.halfHeight;
		vec3 lightColor = rectAreaLight.color;
		float roughness = material.roughness;
		vec3 rectCoords[ 4 ];
		rectCoords[ 0 ] = lightPos + halfWidth - halfHeight;		rectCoords[ 1 ] = lightPos - halfWidth - halfHeight;
		rectCoords[ 2 ] = lightPos - halfWidth + halfHeight;
		rectCoords[ 3 ] = lightPos + halfWidth + halfHeight;
		vec2 uv = LTC_Uv( normal, viewDir, roughness );
		vec4 t1 = texture2D( ltc_1, uv );
		vec4 t2 = texture2D( ltc_2, uv );
		mat3 mInv = mat3(
			vec3( t1.x, 0, t1.y ),
			vec3(    0, 1,    0 ),
			vec3( t1.z, 0, t1.w )
		);
		vec3 fresnel = ( material.specularColorBlended * t2.x + ( material.specularF90 - material.specularColorBlended ) * t2.y );
		reflectedLight.directSpecular += lightColor * fresnel * LTC_Evaluate( normal, viewDir, position, mInv, rectCoords );
		reflectedLight.directDiffuse += lightColor * material.diffuseContribution * LTC_Evaluate( normal, viewDir, position, mat3( 1.0 ), rectCoords );
		#ifdef USE_CLEARCOAT
			vec3 Ncc = geometryClearcoatNormal;
			vec2 uvClearcoat = LTC_Uv( Ncc, viewDir, material.clearcoatRoughness );
			vec4 t1Clearcoat = texture2D( ltc_1, uvClearcoat );
			vec4 t2Clearcoat = texture2D( ltc_2, uvClearcoat );
			mat3 mInvClearcoat = mat3(
				vec3( t1Clearcoat.x, 0, t1Clearcoat.y ),
				vec3(             0, 1,             0 ),
				vec3( t1Clearcoat.z, 0, t1Clearcoat.w )
			);
			vec3 fresnelClearcoat = material.clearcoatF0 * t2Clearcoat.x + ( material.clearcoatF90 - material.clearcoatF0 ) * t2Clearcoat.y;
			clearcoatSpecularDirect += lightColor * fresnelClearcoat * LTC_Evaluate( Ncc, viewDir, position, mInvClearcoat, rectCoords );
		#endif
	}
#endif
void RE_Direct_Physical( const in IncidentLight directLight, const in vec3 geometryPosition, const in vec3 geometryNormal, const in vec3 geometryViewDir, const in vec3 geometryClearcoatNormal, const in PhysicalMaterial material, inout ReflectedLight reflectedLight ) {
	float dotNL = saturate( dot( geometryNormal, directLight.direction ) );
	vec3 irradiance = dotNL * directLight.color;
	#ifdef USE_CLEARCOAT
		float dotNLcc = saturate( dot( geometryClearcoatNormal, directLight.direction ) );
		vec3 ccIrradiance = dotNLcc * directLight.color;
		clearcoatSpecularDirect += ccIrradiance * BRDF_GGX_Clearcoat( directLight.direction, geometryViewDir, geometryClearcoatNormal, material );
	#endif
	#ifdef USE_SHEEN
 
 		sheenSpecularDirect += irradiance * BRDF_Sheen( directLight.direction, geometryViewDir, geometryNormal, material.sheenColor, material.sheenRoughness );
 
 		float sheenAlbedoV = IBLSheenBRDF( geometryNormal, geometryViewDir, material.sheenRoughness );
 		float sheenAlbedoL = IBLSheenBRDF( geometryNormal, directLight.direction, material.sheenRoughness );
 
 		float sheenEnergyComp = 1.0 - max3( material.sheenColor ) * max( sheenAlbedoV, sheenAlbedoL );
 
 		irradiance *= sheenEnergyComp;
 
 	#endif
	vec3 specularBRDF = BRDF_GGX( directLight.direction, geometryViewDir, geometryNormal, material );
	#ifdef USE_RETROREFLECTION
		vec3 retroViewDir = reflect( - geometryViewDir, geometryNormal );
		vec3 retroSpecularBRDF = BRDF_GGX( directLight.direction, retroViewDir, geometryNormal, material );
		specularBRDF = mix( specularBRDF, retroSpecularBRDF, saturate( material.retroreflectivity ) );
	#endif
	reflectedLight.directSpecular += irradiance * specularBRDF * material.multiScatteringCompensation;
	vec3 halfDir = normalize( directLight.direction + geometryViewDir );
	float dotVH = saturate( dot( geometryViewDir, halfDir ) );
	vec3 F = F_Schlick( material.specularColor, material.specularF90, dotVH );
	#ifdef USE_RETROREFLECTION
		vec3 retroHalfDir = normalize( directLight.direction + retroViewDir );
		float dotRetroVH = saturate( dot( retroViewDir, retroHalfDir ) );
		vec3 retroF = F_Schlick( material.specularColor, material.specularF90, dotRetroVH );
		F = mix( F, retroF, saturate( material.retroreflectivity ) );
	#endif
	#ifdef USE_DIFFUSE_ROUGHNESS
		vec3 diffuseBRDF = BRDF_EON( directLight.direction, geometryViewDir, geometryNormal, material.diffuseColor, material.diffuseRoughness ) * ( 1.0 - material.metalness );
	#else
		vec3 diffuseBRDF = BRDF_Lambert( material.diffuseContribution );
	#endif
	reflectedLight.directDiffuse += irradiance * diffuseBRDF * ( 1.0 - F );
}
void RE_IndirectDiffuse_Physical( const in vec3 irradiance, const in vec3 geometryPosition, const in vec3 geometryNormal, const in vec3 geometryViewDir, const in vec3 geometryClearcoatNormal, const in PhysicalMaterial material, inout ReflectedLight reflectedLight ) {
	vec3 singleScattering = vec3( 0.0 );
	vec3 multiScattering = vec3( 0.0 );
	#ifdef USE_IRIDESCENCE
		computeMultiscatteringIridescence( material.dfg, material.specularColor, material.specularF90, material.iridescence, material.iridescenceF0Dielectric, singleScattering, multiScattering );
	#else
		computeMultiscattering( material.dfg, material.specularColor, material.specularF90, singleScattering, multiScattering );
	#endif
	#ifdef USE_DIFFUSE_ROUGHNESS
		float dotNV = saturate( dot( geometryNormal, geometryViewDir ) );
		vec3 diffuseAlbedo = EON_DirectionalAlbedo( material.diffuseColor, material.diffuseRoughness, dotNV ) * ( 1.0 - material.metalness );
		vec3 diffuse = irradiance * RECIPROCAL_PI * diffuseAlbedo * ( 1.0 - singleScattering - multiScattering );
	#else
		vec3 diffuse = irradiance * BRDF_Lambert( material.diffuseContribution ) * ( 1.0 - singleScattering - multiScattering );
	#endif
	#ifdef USE_SHEEN
		float sheenAlbedo = IBLSheenBRDF( geometryNormal, geometryViewDir, material.sheenRoughness );
		sheenSpecularIndirect += irradiance * material.sheenColor * sheenAlbedo * RECIPROCAL_PI;
		float sheenEnergyComp = 1.0 - max3( material.sheenColor ) * sheenAlbedo;
		diffuse *= sheenEnergyComp;
	#endif
	reflectedLight.indirectDiffuse += diffuse;
}
void RE_IndirectSpecular_Physical( const in vec3 radiance, const in vec3 irradiance, const in vec3 clearcoatRadiance, const in vec3 geometryPosition, const in vec3 geometryNormal, const in vec3 geometryViewDir, const in vec3 geometryClearcoatNormal, const in PhysicalMaterial material, inout ReflectedLight reflectedLight) {
	#ifdef USE_CLEARCOAT
		clearcoatSpecularIndirect += clearcoatRadiance * EnvironmentBRDF( geometryClearcoatNormal, geometryViewDir, material.clearcoatF0, material.clearcoatF90, material.clearcoatRoughness );
	#endif
	#ifdef USE_SHEEN
		sheenSpecularIndirect += irradiance * material.sheenColor * IBLSheenBRDF( geometryNormal, geometryViewDir, material.sheenRoughness ) * RECIPROCAL_PI;
 	#endif
	vec3 singleScatteringDielectric = vec3( 0.0 );
	vec3 multiScatteringDielectric = vec3( 0.0 );
	vec3 singleScatteringMetallic = vec3( 0.0 );
	vec3 multiScatteringMetallic = vec3( 0.0 );
	#ifdef USE_IRIDESCENCE
		computeMultiscatteringIridescence( material.dfg, material.specularColor, material.specularF90, material.iridescence, material.iridescenceF0Dielectric, singleScatteringDielectric, multiScatteringDielectric );
		computeMultiscatteringIridescence( material.dfg, material.diffuseColor, material.specularF90, material.iridescence, material.iridescenceF0Metallic, singleScatteringMetallic, multiScatteringMetallic );
	#else
		computeMultiscattering( material.dfg, material.specularColor, material.specularF90, singleScatteringDielectric, multiScatteringDielectric );
		computeMultiscattering( material.dfg, material.diffuseColor, material.specularF90, singleScatteringMetallic, multiScatteringMetallic );
	#endif
	vec3 singleScattering = mix( singleScatteringDielectric, singleScatteringMetallic, material.metalness );
	vec3 multiScattering = mix( multiScatteringDielectric, multiScatteringMetallic, material.metalness );
	vec3 totalScatteringDielectric = singleScatteringDielectric + multiScatteringDielectric;
	#ifdef USE_DIFFUSE_ROUGHNESS
		float dotNV = saturate( dot( geometryNormal, geometryViewDir ) );
		vec3 diffuse = EON_DirectionalAlbedo( material.diffuseColor, material.diffuseRoughness, dotNV ) * ( 1.0 - material.metalness ) * ( 1.0 - totalScatteringDielectric );
	#else
		vec3 diffuse = material.diffuseContribution * ( 1.0 - totalScatteringDielectric );
	#endif
	vec3 cosineWeightedIrradiance = irradiance * RECIPROCAL_PI;
	vec3 indirectSpecular = radiance * singleScattering;
	indirectSpecular += multiScattering * cosineWeightedIrradiance;
	vec3 indirectDiffuse = diffuse * cosineWeightedIrradiance;
	#ifdef USE_SHEEN
		float sheenAlbedo = IBLSheenBRDF( geometryNormal, geometryViewDir, material.sheenRoughness );
		float sheenEnergyComp = 1.0 - max3( material.sheenColor ) * sheenAlbedo;
		indirectSpecular *= sheenEnergyComp;
		indirectDiffuse *= sheenEnergyComp;
	#endif
	reflectedLight.indirectSpecular += indirectSpecular;
	reflectedLight.indirectDiffuse += indirectDiffuse;
}
#define RE_Direct				RE_Direct_Physical
#define RE_Direct_RectArea		RE_Direct_RectArea_Physical
#define RE_IndirectDiffuse		RE_IndirectDiffuse_Physical
#define RE_IndirectSpecular		RE_IndirectSpecular_Physical
float computeSpecularOcclusion( const in float dotNV, const in float ambientOcclusion, const in float roughness ) {
	return saturate( pow( dotNV + ambientOcclusion, exp2( - 16.0 * roughness - 1.0 ) ) - 1.0 + ambientOcclusion );
}`,my=`
vec3 geometryPosition = - vViewPosition;
vec3 geometryNormal = normal;
vec3 geometryViewDir = ( isOrthographic ) ? vec3( 0, 0, 1 ) : normalize( vViewPosition );
vec3 geometryClearcoatNormal = vec3( 0.0 );
#ifdef USE_CLEARCOAT
	geometryClearcoatNormal = clearcoatNormal;
#endif
#ifdef USE_IRIDESCENCE
	float dotNVi = saturate( dot( normal, geometryViewDir ) );
	if ( material.iridescenceThickness == 0.0 ) {
		material.iridescence = 0.0;
	} else {
		material.iridescence = saturate( material.iridescence );
	}
	if ( material.iridescence > 0.0 ) {
		vec3 iridescenceFresnelDielectric = evalIridescence( 1.0, material.iridescenceIOR, dotNVi, material.iridescenceThickness, material.specularColor );
		vec3 iridescenceFresnelMetallic = evalIridescence( 1.0, material.iridescenceIOR, dotNVi, material.iridescenceThickness, material.diffuseColor );
		material.iridescenceFresnel = mix( iridescenceFresnelDielectric, iridescenceFresnelMetallic, material.metalness );
		material.iridescenceF0Dielectric = Schlick_to_F0( iridescenceFresnelDielectric, 1.0, dotNVi );
		material.iridescenceF0Metallic = Schlick_to_F0( iridescenceFresnelMetallic, 1.0, dotNVi );
	}
#endif
#ifdef STANDARD
	float dotNVms = saturate( dot( geometryNormal, geometryViewDir ) );
	material.dfg = texture2D( dfgLUT, vec2( material.roughness, dotNVms ) ).rg;
	#if ( NUM_SUN_LIGHTS > 0 || NUM_DIR_LIGHTS > 0 || NUM_POINT_LIGHTS > 0 || NUM_SPOT_LIGHTS > 0 )
		float EssMs = material.dfg.x + material.dfg.y;
		material.multiScatteringCompensation = 1.0 + material.specularColorBlended * ( 1.0 / EssMs - 1.0 );
	#endif
#endif
IncidentLight directLight;
#if ( NUM_POINT_LIGHTS > 0 ) && defined( RE_Direct )
	PointLight pointLight;
	#if defined( USE_SHADOWMAP ) && NUM_POINT_LIGHT_SHADOWS > 0
	PointLightShadow pointLightShadow;
	#endif
	#pragma unroll_loop_start
	for ( int i = 0; i < NUM_POINT_LIGHTS; i ++ ) {
		pointLight = pointLights[ i ];
		getPointLightInfo( pointLight, geometryPosition, directLight );
		#if defined( USE_SHADOWMAP ) && ( UNROLLED_LOOP_INDEX < NUM_POINT_LIGHT_SHADOWS ) && ( defined( SHADOWMAP_TYPE_PCF ) || defined( SHADOWMAP_TYPE_BASIC ) )
		pointLightShadow = pointLightShadows[ i ];
		directLight.color *= ( directLight.visible && receiveShadow ) ? getPointShadow( pointShadowMap[ i ], pointLightShadow.shadowMapSize, pointLightShadow.shadowIntensity, pointLightShadow.shadowBias, pointLightShadow.shadowRadius, vPointShadowCoord[ i ], pointLightShadow.shadowCameraNear, pointLightShadow.shadowCameraFar ) : 1.0;
		#endif
		RE_Direct( directLight, geometryPosition, geometryNormal, geometryViewDir, geometryClearcoatNormal, material, reflectedLight );
	}
	#pragma unroll_loop_end
#endif
#if ( NUM_SPOT_LIGHTS > 0 ) && defined( RE_Direct )
	SpotLight spotLight;
	vec4 spotColor;
	vec3 spotLightCoord;
	bool inSpotLightMap;
	#if defined( USE_SHADOWMAP ) && NUM_SPOT_LIGHT_SHADOWS > 0
	SpotLightShadow spotLightShadow;
	#endif
	#pragma unroll_loop_start
	for ( int i = 0; i < NUM_SPOT_LIGHTS; i ++ ) {
		spotLight = spotLights[ i ];
		getSpotLightInfo( spotLight, geometryPosition, directLight );
		#if ( UNROLLED_LOOP_INDEX < NUM_SPOT_LIGHT_SHADOWS_WITH_MAPS )
		#define SPOT_LIGHT_MAP_INDEX UNROLLED_LOOP_INDEX
		#elif ( UNROLLED_LOOP_INDEX < NUM_SPOT_LIGHT_SHADOWS )
		#define SPOT_LIGHT_MAP_INDEX NUM_SPOT_LIGHT_MAPS
		#else
		#define SPOT_LIGHT_MAP_INDEX ( UNROLLED_LOOP_INDEX - NUM_SPOT_LIGHT_SHADOWS + NUM_SPOT_LIGHT_SHADOWS_WITH_MAPS )
		#endif
		#if ( SPOT_LIGHT_MAP_INDEX < NUM_SPOT_LIGHT_MAPS )
			spotLightCoord = vSpotLightCoord[ i ].xyz / vSpotLightCoord[ i ].w;
			inSpotLightMap = all( lessThan( abs( spotLightCoord * 2. - 1. ), vec3( 1.0 ) ) );
			spotColor = texture2D( spotLightMap[ SPOT_LIGHT_MAP_INDEX ], spotLightCoord.xy );
			directLight.color = inSpotLightMap ? directLight.color * spotColor.rgb : directLight.color;
		#endif
		#undef SPOT_LIGHT_MAP_INDEX
		#if defined( USE_SHADOWMAP ) && ( UNROLLED_LOOP_INDEX < NUM_SPOT_LIGHT_SHADOWS )
		spotLightShadow = spotLightShadows[ i ];
		directLight.color *= ( directLight.visible && receiveShadow ) ? getShadow( spotShadowMap[ i ], spotLightShadow.shadowMapSize, spotLightShadow.shadowIntensity, spotLightShadow.shadowBias, spotLightShadow.shadowRadius, vSpotLightCoord[ i ] ) : 1.0;
		#endif
		RE_Direct( directLight, geometryPosition, geometryNormal, geometryViewDir, geometryClearcoatNormal, material, reflectedLight );
	}
	#pragma unroll_loop_end
#endif
#if ( NUM_SUN_LIGHTS > 0 ) && defined( RE_Direct )
	SunLight sunLight;
	#if defined( USE_SHADOWMAP ) && NUM_SUN_LIGHT_SHADOWS > 0
	SunLightShadow sunLightShadow;
	#endif
	#pragma unroll_loop_start
	for ( int i = 0; i < NUM_SUN_LIGHTS; i ++ ) {
		sunLight = sunLights[ i ];
		getSunLightInfo( sunLight, directLight );
		#if defined( USE_SHADOWMAP ) && ( UNROLLED_LOOP_INDEX < NUM_SUN_LIGHT_SHADOWS )
		sunLightShadow = sunLightShadows[ i ];
		directLight.color *= ( directLight.visible && receiveShadow ) ? getSunShadow( sunShadowMap[ i ], sunLightShadow, UNROLLED_LOOP_INDEX ) : 1.0;
		#endif
		RE_Direct( directLight, geometryPosition, geometryNormal, geometryViewDir, geometryClearcoatNormal, material, reflectedLight );
	}
	#pragma unroll_loop_end
#endif
#if ( NUM_DIR_LIGHTS > 0 ) && defined( RE_Direct )
	DirectionalLight directionalLight;
	#if defined( USE_SHADOWMAP ) && NUM_DIR_LIGHT_SHADOWS > 0
	DirectionalLightShadow directionalLightShadow;
	#endif
	#pragma unroll_loop_start
	for ( int i = 0; i < NUM_DIR_LIGHTS; i ++ ) {
		directionalLight = directionalLights[ i ];
		getDirectionalLightInfo( directionalLight, directLight );
		#if defined( USE_SHADOWMAP ) && ( UNROLLED_LOOP_INDEX < NUM_DIR_LIGHT_SHADOWS )
		directionalLightShadow = directionalLightShadows[ i ];
		directLight.color *= ( directLight.visible && receiveShadow ) ? getShadow( directionalShadowMap[ i ], directionalLightShadow.shadowMapSize, directionalLightShadow.shadowIntensity, directionalLightShadow.shadowBias, directionalLightShadow.shadowRadius, vDirectionalShadowCoord[ i ] ) : 1.0;
		#endif
		RE_Direct( directLight, geometryPosition, geometryNormal, geometryViewDir, geometryClearcoatNormal, material, reflectedLight );
	}
	#pragma unroll_loop_end
#endif
#if ( NUM_RECT_AREA_LIGHTS > 0 ) && defined( RE_Direct_RectArea )
	RectAreaLight rectAreaLight;
	#pragma unroll_loop_start
	for ( int i = 0; i < NUM_RECT_AREA_LIGHTS; i ++ ) {
		rectAreaLight = rectAreaLights[ i ];
		RE_Direct_RectArea( rectAreaLight, geometryPosition, geometryNormal, geometryViewDir, geometryClearcoatNormal, material, reflectedLight );
	}
	#pragma unroll_loop_end
#endif
#if defined( RE_IndirectDiffuse )
	vec3 iblIrradiance = vec3( 0.0 );
	vec3 irradiance = getAmbientLightIrradiance( ambientLightColor );
	#if defined( USE_LIGHT_PROBES )
		irradiance += getLightProbeIrradiance( lightProbe, geometryNormal );
	#endif
	#if ( NUM_HEMI_LIGHTS > 0 )
		#pragma unroll_loop_start
		for ( int i = 0; i < NUM_HEMI_LIGHTS; i ++ ) {
			irradiance += getHemisphereLightIrradiance( hemisphereLights[ i ], geometryNormal );
		}
		#pragma unroll_loop_end
	#endif
	#if NUM_LIGHT_PROBE_GRIDS > 0
		vec3 probeWorldPos = ( ( vec4( geometryPosition, 1.0 ) - viewMatrix[ 3 ] ) * viewMatrix ).xyz;
		vec3 probeWorldNormal = transformNormalByInverseViewMatrix( geometryNormal, viewMatrix );
		int probeGrid = - 1;
		#pragma unroll_loop_start
		for ( int i = 0; i < NUM_LIGHT_PROBE_GRIDS; i ++ ) {
			if ( isInsideLightProbeGrid( probeWorldPos, probeWorldNormal, probesMin[ i ], probesMax[ i ], probesResolution[ i ] ) ) probeGrid = UNROLLED_LOOP_INDEX;
		}
		#pragma unroll_loop_end
		#pragma unroll_loop_start
		for ( int i = 0; i < NUM_LIGHT_PROBE_GRIDS; i ++ ) {
			if ( probeGrid == UNROLLED_LOOP_INDEX ) irradiance += getLightProbeGridIrradiance( probesSH[ i ], probesMin[ i ], probesMax[ i ], probesResolution[ i ], probeWorldPos, probeWorldNormal );
		}
		#pragma unroll_loop_end
	#endif
#endif
#if defined( RE_IndirectSpecular )
	vec3 radiance = vec3( 0.0 );
	vec3 clearcoatRadiance = vec3( 0.0 );
#endif`,gy=`#if defined( RE_IndirectDiffuse )
	#ifdef USE_LIGHTMAP
		vec4 lightMapTexel = texture2D( lightMap, vLightMapUv );
		vec3 lightMapIrradiance = lightMapTexel.rgb * lightMapIntensity;
		irradiance += lightMapIrradiance;
	#endif
	#if defined( USE_ENVMAP ) && defined( ENVMAP_TYPE_PMREM )
		#if defined( STANDARD ) || defined( LAMBERT ) || defined( PHONG )
			iblIrradiance += getIBLIrradiance( geometryNormal );
		#endif
	#endif
#endif
#if defined( USE_ENVMAP ) && defined( RE_IndirectSpecular )
	#ifdef USE_ANISOTROPY
		vec3 iblRadiance = getIBLAnisotropyRadiance( geometryViewDir, geometryNormal, material.roughness, material.anisotropyB, material.anisotropy );
	#else
		vec3 iblRadiance = getIBLRadiance( geometryViewDir, geometryNormal, material.roughness );
	#endif
	#ifdef USE_RETROREFLECTION
		#ifdef USE_ANISOTROPY
			vec3 retroIBLRadiance = getIBLAnisotropyRetroRadiance( geometryViewDir, geometryNormal, material.roughness, material.anisotropyB, material.anisotropy );
		#else
			vec3 retroIBLRadiance = getIBLRetroRadiance( geometryViewDir, geometryNormal, material.roughness );
		#endif
		iblRadiance = mix( iblRadiance, retroIBLRadiance, saturate( material.retroreflectivity ) );
	#endif
	radiance += iblRadiance;
	#ifdef USE_CLEARCOAT
		clearcoatRadiance += getIBLRadiance( geometryViewDir, geometryClearcoatNormal, material.clearcoatRoughness );
	#endif
#endif`,_y=`#if defined( RE_IndirectDiffuse )
	#if defined( LAMBERT ) || defined( PHONG )
		irradiance += iblIrradiance;
	#endif
	RE_IndirectDiffuse( irradiance, geometryPosition, geometryNormal, geometryViewDir, geometryClearcoatNormal, material, reflectedLight );
#endif
#if defined( RE_IndirectSpecular )
	RE_IndirectSpecular( radiance, iblIrradiance, clearcoatRadiance, geometryPosition, geometryNormal, geometryViewDir, geometryClearcoatNormal, material, reflectedLight );
#endif`,vy=`#if NUM_LIGHT_PROBE_GRIDS > 0
uniform highp sampler3D probesSH[ NUM_LIGHT_PROBE_GRIDS ];
uniform vec3 probesMin[ NUM_LIGHT_PROBE_GRIDS ];
uniform vec3 probesMax[ NUM_LIGHT_PROBE_GRIDS ];
uniform vec3 probesResolution[ NUM_LIGHT_PROBE_GRIDS ];
bool isInsideLightProbeGrid( vec3 worldPos, vec3 worldNormal, vec3 probesMin, vec3 probesMax, vec3 probesResolution ) {
	vec3 spacing = ( probesMax - probesMin ) / probesResolution;
	vec3 samplePos = worldPos + worldNormal * spacing * 0.5;
	vec3 margin = spacing * 0.01;
	return all( greaterThanEqual( samplePos, probesMin - margin ) ) && all( lessThanEqual( samplePos, probesMax + margin ) );
}
vec3 getLightProbeGridIrradiance( highp sampler3D probesSH, vec3 probesMin, vec3 probesMax, vec3 probesResolution, vec3 worldPos, vec3 worldNormal ) {
	vec3 res = probesResolution;
	vec3 gridRange = probesMax - probesMin;
	vec3 probeSpacing = gridRange / res;
	vec3 samplePos = worldPos + worldNormal * probeSpacing * 0.5;
	vec3 uvw = clamp( ( samplePos - probesMin ) / gridRange, 0.5 / res, 1.0 - 0.5 / res );
	float nz          = res.z;
	float paddedSlices = nz + 2.0;
	float atlasDepth  = 7.0 * paddedSlices;
	float uvZBase     = uvw.z * nz + 1.0;
	vec4 s0 = texture( probesSH, vec3( uvw.xy, ( uvZBase                       ) / atlasDepth ) );
	vec4 s1 = texture( probesSH, vec3( uvw.xy, ( uvZBase +       paddedSlices   ) / atlasDepth ) );
	vec4 s2 = texture( probesSH, vec3( uvw.xy, ( uvZBase + 2.0 * paddedSlices   ) / atlasDepth ) );
	vec4 s3 = texture( probesSH, vec3( uvw.xy, ( uvZBase + 3.0 * paddedSlices   ) / atlasDepth ) );
	vec4 s4 = texture( probesSH, vec3( uvw.xy, ( uvZBase + 4.0 * paddedSlices   ) / atlasDepth ) );
	vec4 s5 = texture( probesSH, vec3( uvw.xy, ( uvZBase + 5.0 * paddedSlices   ) / atlasDepth ) );
	vec4 s6 = texture( probesSH, vec3( uvw.xy, ( uvZBase + 6.0 * paddedSlices   ) / atlasDepth ) );
	vec3 c0 = s0.xyz;
	vec3 c1 = vec3( s0.w, s1.xy );
	vec3 c2 = vec3( s1.zw, s2.x );
	vec3 c3 = s2.yzw;
	vec3 c4 = s3.xyz;
	vec3 c5 = vec3( s3.w, s4.xy );
	vec3 c6 = vec3( s4.zw, s5.x );
	vec3 c7 = s5.yzw;
	vec3 c8 = s6.xyz;
	float x = worldNormal.x, y = worldNormal.y, z = worldNormal.z;
	vec3 result = c0 * 0.886227;
	result += c1 * 2.0 * 0.511664 * y;
	result += c2 * 2.0 * 0.511664 * z;
	result += c3 * 2.0 * 0.511664 * x;
	result += c4 * 2.0 * 0.429043 * x * y;
	result += c5 * 2.0 * 0.429043 * y * z;
	result += c6 * ( 0.743125 * z * z - 0.247708 );
	result += c7 * 2.0 * 0.429043 * x * z;
	result += c8 * 0.429043 * ( x * x - y * y );
	return max( result, vec3( 0.0 ) );
}
#endif`,xy=`#if defined( USE_LOGARITHMIC_DEPTH_BUFFER )
	gl_FragDepth = vIsPerspective == 0.0 ? gl_FragCoord.z : log2( vFragDepth ) * logDepthBufFC * 0.5;
#endif`,yy=`#if defined( USE_LOGARITHMIC_DEPTH_BUFFER )
	uniform float logDepthBufFC;
	varying float vFragDepth;
	varying float vIsPerspective;
#endif`,by=`#ifdef USE_LOGARITHMIC_DEPTH_BUFFER
	varying float vFragDepth;
	varying float vIsPerspective;
#endif`,Sy=`#ifdef USE_LOGARITHMIC_DEPTH_BUFFER
	vFragDepth = 1.0 + gl_Position.w;
	vIsPerspective = float( isPerspectiveMatrix( projectionMatrix ) );
#endif`,My=`#ifdef USE_MAP
	vec4 sampledDiffuseColor = texture2D( map, vMapUv );
	#ifdef DECODE_VIDEO_TEXTURE
		sampledDiffuseColor = sRGBTransferEOTF( sampledDiffuseColor );
	#endif
	diffuseColor *= sampledDiffuseColor;
#endif`,wy=`#ifdef USE_MAP
	uniform sampler2D map;
#endif`,Ty=`#if defined( USE_MAP ) || defined( USE_ALPHAMAP )
	#if defined( USE_POINTS_UV )
		vec2 uv = vUv;
	#else
		vec2 uv = ( uvTransform * vec3( gl_PointCoord.x, 1.0 - gl_PointCoord.y, 1 ) ).xy;
	#endif
#endif
#ifdef USE_MAP
	diffuseColor *= texture2D( map, uv );
#endif
#ifdef USE_ALPHAMAP
	diffuseColor.a *= texture2D( alphaMap, uv ).g;
#endif`,Ey=`#if defined( USE_POINTS_UV )
	varying vec2 vUv;
#else
	#if defined( USE_MAP ) || defined( USE_ALPHAMAP )
		uniform mat3 uvTransform;
	#endif
#endif
#ifdef USE_MAP
	uniform sampler2D map;
#endif
#ifdef USE_ALPHAMAP
	uniform sampler2D alphaMap;
#endif`,Ay=`float metalnessFactor = metalness;
#ifdef USE_METALNESSMAP
	vec4 texelMetalness = texture2D( metalnessMap, vMetalnessMapUv );
	metalnessFactor *= texelMetalness.b;
#endif`,Cy=`#ifdef USE_METALNESSMAP
	uniform sampler2D metalnessMap;
#endif`,Ry=`#ifdef USE_INSTANCING_MORPH
	float morphTargetInfluences[ MORPHTARGETS_COUNT ];
	float morphTargetBaseInfluence = texelFetch( morphTexture, ivec2( 0, gl_InstanceID ), 0 ).r;
	for ( int i = 0; i < MORPHTARGETS_COUNT; i ++ ) {
		morphTargetInfluences[i] =  texelFetch( morphTexture, ivec2( i + 1, gl_InstanceID ), 0 ).r;
	}
#endif`,Py=`#if defined( USE_MORPHCOLORS )
	#if defined( USE_COLOR_ALPHA )
		vColor *= morphTargetBaseInfluence;
	#elif defined( USE_COLOR )
		vColor.rgb *= morphTargetBaseInfluence;
	#endif
	for ( int i = 0; i < MORPHTARGETS_COUNT; i ++ ) {
		#if defined( USE_COLOR_ALPHA )
			if ( morphTargetInfluences[ i ] != 0.0 ) vColor += getMorph( gl_VertexID, i, 2 ) * morphTargetInfluences[ i ];
		#elif defined( USE_COLOR )
			if ( morphTargetInfluences[ i ] != 0.0 ) vColor.rgb += getMorph( gl_VertexID, i, 2 ).rgb * morphTargetInfluences[ i ];
		#endif
	}
#endif`,Iy=`#ifdef USE_MORPHNORMALS
	objectNormal *= morphTargetBaseInfluence;
	for ( int i = 0; i < MORPHTARGETS_COUNT; i ++ ) {
		if ( morphTargetInfluences[ i ] != 0.0 ) objectNormal += getMorph( gl_VertexID, i, 1 ).xyz * morphTargetInfluences[ i ];
	}
#endif`,Ly=`#ifdef USE_MORPHTARGETS
	#ifndef USE_INSTANCING_MORPH
		uniform float morphTargetBaseInfluence;
		uniform float morphTargetInfluences[ MORPHTARGETS_COUNT ];
	#endif
	uniform sampler2DArray morphTargetsTexture;
	uniform ivec2 morphTargetsTextureSize;
	vec4 getMorph( const in int vertexIndex, const in int morphTargetIndex, const in int offset ) {
		int texelIndex = vertexIndex * MORPHTARGETS_TEXTURE_STRIDE + offset;
		int y = texelIndex / morphTargetsTextureSize.x;
		int x = texelIndex - y * morphTargetsTextureSize.x;
		ivec3 morphUV = ivec3( x, y, morphTargetIndex );
		return texelFetch( morphTargetsTexture, morphUV, 0 );
	}
#endif`,Ny=`#ifdef USE_MORPHTARGETS
	transformed *= morphTargetBaseInfluence;
	for ( int i = 0; i < MORPHTARGETS_COUNT; i ++ ) {
		if ( morphTargetInfluences[ i ] != 0.0 ) transformed += getMorph( gl_VertexID, i, 0 ).xyz * morphTargetInfluences[ i ];
	}
#endif`,Dy=`float faceDirection = gl_FrontFacing ? 1.0 : - 1.0;
#ifdef FLAT_SHADED
	vec3 fdx = dFdx( vViewPosition );
	vec3 fdy = dFdy( vViewPosition );
	vec3 normal = normalize( cross( fdx, fdy ) );
#else
	vec3 normal = normalize( vNormal );
	#ifdef DOUBLE_SIDED
		normal *= faceDirection;
	#endif
#endif
#if defined( USE_NORMALMAP_TANGENTSPACE ) || defined( USE_CLEARCOAT_NORMALMAP ) || defined( USE_ANISOTROPY )
	#ifdef USE_TANGENT
		mat3 tbn = mat3( normalize( vTangent ), normalize( vBitangent ), normal );
	#else
		mat3 tbn = getTangentFrame( - vViewPosition, normal,
		#if defined( USE_NORMALMAP )
			vNormalMapUv
		#elif defined( USE_CLEARCOAT_NORMALMAP )
			vClearcoatNormalMapUv
		#else
			vUv
		#endif
		);
	#endif
	#ifdef DOUBLE_SIDED
		tbn[0] *= faceDirection;
		tbn[1] *= faceDirection;
	#endif
#endif
#ifdef USE_CLEARCOAT_NORMALMAP
	#ifdef USE_TANGENT
		mat3 tbn2 = mat3( normalize( vTangent ), normalize( vBitangent ), normal );
	#else
		mat3 tbn2 = getTangentFrame( - vViewPosition, normal, vClearcoatNormalMapUv );
	#endif
	#ifdef DOUBLE_SIDED
		tbn2[0] *= faceDirection;
		tbn2[1] *= faceDirection;
	#endif
#endif
vec3 nonPerturbedNormal = normal;`,Fy=`#ifdef USE_NORMALMAP_OBJECTSPACE
	normal = texture2D( normalMap, vNormalMapUv ).xyz * 2.0 - 1.0;
	#ifdef FLIP_SIDED
		normal = - normal;
	#endif
	#ifdef DOUBLE_SIDED
		normal = normal * faceDirection;
	#endif
	normal = normalize( normalMatrix * normal );
#elif defined( USE_NORMALMAP_TANGENTSPACE )
	vec3 mapN = texture2D( normalMap, vNormalMapUv ).xyz * 2.0 - 1.0;
	#if defined( USE_PACKED_NORMALMAP )
		mapN = vec3( mapN.xy, sqrt( saturate( 1.0 - dot( mapN.xy, mapN.xy ) ) ) );
	#endif
	mapN.xy *= normalScale;
	normal = normalize( tbn * mapN );
#elif defined( USE_BUMPMAP )
	normal = perturbNormalArb( - vViewPosition, normal, dHdxy_fwd(), faceDirection );
#endif`,Uy=`#ifndef FLAT_SHADED
	varying vec3 vNormal;
	#ifdef USE_TANGENT
		varying vec3 vTangent;
		varying vec3 vBitangent;
	#endif
#endif`,Oy=`#ifndef FLAT_SHADED
	varying vec3 vNormal;
	#ifdef USE_TANGENT
		varying vec3 vTangent;
		varying vec3 vBitangent;
	#endif
#endif`,By=`#ifndef FLAT_SHADED
	vNormal = normalize( transformedNormal );
	#ifdef USE_TANGENT
		vTangent = normalize( transformedTangent );
		vBitangent = normalize( cross( vNormal, vTangent ) * tangent.w );
		#ifdef FLIP_SIDED
			vBitangent = - vBitangent;
		#endif
	#endif
#endif`,ky=`#ifdef USE_NORMALMAP
	uniform sampler2D normalMap;
	uniform vec2 normalScale;
#endif
#ifdef USE_NORMALMAP_OBJECTSPACE
	uniform mat3 normalMatrix;
#endif
#if ! defined ( USE_TANGENT ) && ( defined ( USE_NORMALMAP_TANGENTSPACE ) || defined ( USE_CLEARCOAT_NORMALMAP ) || defined( USE_ANISOTROPY ) )
	mat3 getTangentFrame( vec3 eye_pos, vec3 surf_norm, vec2 uv ) {
		vec3 q0 = dFdx( eye_pos.xyz );
		vec3 q1 = dFdy( eye_pos.xyz );
		vec2 st0 = dFdx( uv.st );
		vec2 st1 = dFdy( uv.st );
		vec3 N = surf_norm;
		vec3 q1perp = cross( q1, N );
		vec3 q0perp = cross( N, q0 );
		vec3 T = q1perp * st0.x + q0perp * st1.x;
		vec3 B = q1perp * st0.y + q0perp * st1.y;
		float det = max( dot( T, T ), dot( B, B ) );
		float scale = ( det == 0.0 ) ? 0.0 : inversesqrt( det );
		return mat3( T * scale, B * scale, N );
	}
#endif`,zy=`#ifdef USE_CLEARCOAT
	vec3 clearcoatNormal = nonPerturbedNormal;
#endif`,Vy=`#ifdef USE_CLEARCOAT_NORMALMAP
	vec3 clearcoatMapN = texture2D( clearcoatNormalMap, vClearcoatNormalMapUv ).xyz * 2.0 - 1.0;
	clearcoatMapN.xy *= clearcoatNormalScale;
	clearcoatNormal = normalize( tbn2 * clearcoatMapN );
#endif`,Gy=`#ifdef USE_CLEARCOATMAP
	uniform sampler2D clearcoatMap;
#endif
#ifdef USE_CLEARCOAT_NORMALMAP
	uniform sampler2D clearcoatNormalMap;
	uniform vec2 clearcoatNormalScale;
#endif
#ifdef USE_CLEARCOAT_ROUGHNESSMAP
	uniform sampler2D clearcoatRoughnessMap;
#endif`,Hy=`#ifdef USE_IRIDESCENCEMAP
	uniform sampler2D iridescenceMap;
#endif
#ifdef USE_IRIDESCENCE_THICKNESSMAP
	uniform sampler2D iridescenceThicknessMap;
#endif`,Wy=`#ifdef OPAQUE
diffuseColor.a = 1.0;
#endif
#ifdef USE_TRANSMISSION
diffuseColor.a *= material.transmissionAlpha;
#endif
gl_FragColor = vec4( outgoingLight, diffuseColor.a );`,Xy=`vec3 packNormalToRGB( const in vec3 normal ) {
	return normalize( normal ) * 0.5 + 0.5;
}
vec3 unpackRGBToNormal( const in vec3 rgb ) {
	return 2.0 * rgb.xyz - 1.0;
}
const float PackUpscale = 256. / 255.;const float UnpackDownscale = 255. / 256.;const float ShiftRight8 = 1. / 256.;
const float Inv255 = 1. / 255.;
const vec4 PackFactors = vec4( 1.0, 256.0, 256.0 * 256.0, 256.0 * 256.0 * 256.0 );
const vec2 UnpackFactors2 = vec2( UnpackDownscale, 1.0 / PackFactors.g );
const vec3 UnpackFactors3 = vec3( UnpackDownscale / PackFactors.rg, 1.0 / PackFactors.b );
const vec4 UnpackFactors4 = vec4( UnpackDownscale / PackFactors.rgb, 1.0 / PackFactors.a );
vec4 packDepthToRGBA( const in float v ) {
	if( v <= 0.0 )
		return vec4( 0., 0., 0., 0. );
	if( v >= 1.0 )
		return vec4( 1., 1., 1., 1. );
	float vuf;
	float af = modf( v * PackFactors.a, vuf );
	float bf = modf( vuf * ShiftRight8, vuf );
	float gf = modf( vuf * ShiftRight8, vuf );
	return vec4( vuf * Inv255, gf * PackUpscale, bf * PackUpscale, af );
}
vec3 packDepthToRGB( const in float v ) {
	if( v <= 0.0 )
		return vec3( 0., 0., 0. );
	if( v >= 1.0 )
		return vec3( 1., 1., 1. );
	float vuf;
	float bf = modf( v * PackFactors.b, vuf );
	float gf = modf( vuf * ShiftRight8, vuf );
	return vec3( vuf * Inv255, gf * PackUpscale, bf );
}
vec2 packDepthToRG( const in float v ) {
	if( v <= 0.0 )
		return vec2( 0., 0. );
	if( v >= 1.0 )
		return vec2( 1., 1. );
	float vuf;
	float gf = modf( v * 256., vuf );
	return vec2( vuf * Inv255, gf );
}
float unpackRGBAToDepth( const in vec4 v ) {
	return dot( v, UnpackFactors4 );
}
float unpackRGBToDepth( const in vec3 v ) {
	return dot( v, UnpackFactors3 );
}
float unpackRGToDepth( const in vec2 v ) {
	return v.r * UnpackFactors2.r + v.g * UnpackFactors2.g;
}
vec4 pack2HalfToRGBA( const in vec2 v ) {
	vec4 r = vec4( v.x, fract( v.x * 255.0 ), v.y, fract( v.y * 255.0 ) );
	return vec4( r.x - r.y / 255.0, r.y, r.z - r.w / 255.0, r.w );
}
vec2 unpackRGBATo2Half( const in vec4 v ) {
	return vec2( v.x + ( v.y / 255.0 ), v.z + ( v.w / 255.0 ) );
}
float viewZToOrthographicDepth( const in float viewZ, const in float near, const in float far ) {
	return ( viewZ + near ) / ( near - far );
}
float orthographicDepthToViewZ( const in float depth, const in float near, const in float far ) {
	#ifdef USE_REVERSED_DEPTH_BUFFER
	
		return depth * ( far - near ) - far;
	#else
		return depth * ( near - far ) - near;
	#endif
}
float viewZToPerspectiveDepth( const in float viewZ, const in float near, const in float far ) {
	return ( ( near + viewZ ) * far ) / ( ( far - near ) * viewZ );
}
float perspectiveDepthToViewZ( const in float depth, const in float near, const in float far ) {
	
	#ifdef USE_REVERSED_DEPTH_BUFFER
		return ( near * far ) / ( ( near - far ) * depth - near );
	#else
		return ( near * far ) / ( ( far - near ) * depth - far );
	#endif
}`,qy=`#ifdef PREMULTIPLIED_ALPHA
	gl_FragColor.rgb *= gl_FragColor.a;
#endif`,Yy=`vec4 mvPosition = vec4( transformed, 1.0 );
#ifdef USE_BATCHING
	mvPosition = batchingMatrix * mvPosition;
#endif
#ifdef USE_INSTANCING
	mvPosition = instanceMatrix * mvPosition;
#endif
mvPosition = modelViewMatrix * mvPosition;
gl_Position = projectionMatrix * mvPosition;`,$y=`#ifdef DITHERING
	gl_FragColor.rgb = dithering( gl_FragColor.rgb );
#endif`,Zy=`#ifdef DITHERING
	vec3 dithering( vec3 color ) {
		float grid_position = rand( gl_FragCoord.xy );
		vec3 dither_shift_RGB = vec3( 0.25 / 255.0, -0.25 / 255.0, 0.25 / 255.0 );
		dither_shift_RGB = mix( 2.0 * dither_shift_RGB, -2.0 * dither_shift_RGB, grid_position );
		return color + dither_shift_RGB;
	}
#endif`,Jy=`float roughnessFactor = roughness;
#ifdef USE_ROUGHNESSMAP
	vec4 texelRoughness = texture2D( roughnessMap, vRoughnessMapUv );
	roughnessFactor *= texelRoughness.g;
#endif`,Ky=`#ifdef USE_ROUGHNESSMAP
	uniform sampler2D roughnessMap;
#endif`,jy=`#if NUM_SPOT_LIGHT_COORDS > 0
	varying vec4 vSpotLightCoord[ NUM_SPOT_LIGHT_COORDS ];
#endif
#if NUM_SPOT_LIGHT_MAPS > 0
	uniform sampler2D spotLightMap[ NUM_SPOT_LIGHT_MAPS ];
#endif
#ifdef USE_SHADOWMAP
	#if NUM_SUN_LIGHT_SHADOWS > 0
		#define SUN_LIGHT_CASCADES 2
		#if defined( SHADOWMAP_TYPE_PCF )
			uniform sampler2DShadow sunShadowMap[ NUM_SUN_LIGHT_SHADOWS ];
		#else
			uniform sampler2D sunShadowMap[ NUM_SUN_LIGHT_SHADOWS ];
		#endif
		uniform mat4 sunShadowMatrix[ NUM_SUN_LIGHT_SHADOWS * SUN_LIGHT_CASCADES ];
		uniform vec4 sunShadowCascade[ NUM_SUN_LIGHT_SHADOWS * SUN_LIGHT_CASCADES ];
		varying vec4 vSunShadowWorldPosition;
		varying vec3 vSunShadowWorldNormal;
		struct SunLightShadow {
			float shadowIntensity;
			float shadowBias;
			float shadowNormalBias;
			float shadowRadius;
			vec2 shadowMapSize;
		};
		uniform SunLightShadow sunLightShadows[ NUM_SUN_LIGHT_SHADOWS ];
	#endif
	#if NUM_DIR_LIGHT_SHADOWS > 0
		#if defined( SHADOWMAP_TYPE_PCF )
			uniform sampler2DShadow directionalShadowMap[ NUM_DIR_LIGHT_SHADOWS ];
		#else
			uniform sampler2D directionalShadowMap[ NUM_DIR_LIGHT_SHADOWS ];
		#endif
		varying vec4 vDirectionalShadowCoord[ NUM_DIR_LIGHT_SHADOWS ];
		struct DirectionalLightShadow {
			float shadowIntensity;
			float shadowBias;
			float shadowNormalBias;
			float shadowRadius;
			vec2 shadowMapSize;
		};
		uniform DirectionalLightShadow directionalLightShadows[ NUM_DIR_LIGHT_SHADOWS ];
	#endif
	#if NUM_SPOT_LIGHT_SHADOWS > 0
		#if defined( SHADOWMAP_TYPE_PCF )
			uniform sampler2DShadow spotShadowMap[ NUM_SPOT_LIGHT_SHADOWS ];
		#else
			uniform sampler2D spotShadowMap[ NUM_SPOT_LIGHT_SHADOWS ];
		#endif
		struct SpotLightShadow {
			float shadowIntensity;
			float shadowBias;
			float shadowNormalBias;
			float shadowRadius;
			vec2 shadowMapSize;
		};
		uniform SpotLightShadow spotLightShadows[ NUM_SPOT_LIGHT_SHADOWS ];
	#endif
	#if NUM_POINT_LIGHT_SHADOWS > 0
		#if defined( SHADOWMAP_TYPE_PCF )
			uniform samplerCubeShadow pointShadowMap[ NUM_POINT_LIGHT_SHADOWS ];
		#elif defined( SHADOWMAP_TYPE_BASIC )
			uniform samplerCube pointShadowMap[ NUM_POINT_LIGHT_SHADOWS ];
		#endif
		varying vec4 vPointShadowCoord[ NUM_POINT_LIGHT_SHADOWS ];
		struct PointLightShadow {
			float shadowIntensity;
			float shadowBias;
			float shadowNormalBias;
			float shadowRadius;
			vec2 shadowMapSize;
			float shadowCameraNear;
			float shadowCameraFar;
		};
		uniform PointLightShadow pointLightShadows[ NUM_POINT_LIGHT_SHADOWS ];
	#endif
	#if defined( SHADOWMAP_TYPE_PCF )
		float interleavedGradientNoise( vec2 position ) {
			return fract( 52.9829189 * fract( dot( position, vec2( 0.06711056, 0.00583715 ) ) ) );
		}
		vec2 vogelDiskSample( int sampleIndex, int samplesCount, float phi ) {
			const float goldenAngle = 2.399963229728653;
			float r = sqrt( ( float( sampleIndex ) + 0.5 ) / float( samplesCount ) );
			float theta = float( sampleIndex ) * goldenAngle + phi;
			return vec2( cos( theta ), sin( theta ) ) * r;
		}
	#endif
	#if defined( SHADOWMAP_TYPE_PCF )
		float getShadow( sampler2DShadow shadowMap, vec2 shadowMapSize, float shadowIntensity, float shadowBias, float shadowRadius, vec4 shadowCoord ) {
			float shadow = 1.0;
			shadowCoord.xyz /= shadowCoord.w;
			#ifdef USE_REVERSED_DEPTH_BUFFER
				shadowCoord.z -= shadowBias;
			#else
				shadowCoord.z += shadowBias;
			#endif
			bool inFrustum = shadowCoord.x >= 0.0 && shadowCoord.x <= 1.0 && shadowCoord.y >= 0.0 && shadowCoord.y <= 1.0;
			bool frustumTest = inFrustum && shadowCoord.z <= 1.0;
			if ( frustumTest ) {
				vec2 texelSize = vec2( 1.0 ) / shadowMapSize;
				vec2 radius = shadowRadius * texelSize;
				float phi = interleavedGradientNoise( gl_FragCoord.xy ) * PI2;
				shadow = (
					texture( shadowMap, vec3( shadowCoord.xy + vogelDiskSample( 0, 5, phi ) * radius, shadowCoord.z ) ) +
					texture( shadowMap, vec3( shadowCoord.xy + vogelDiskSample( 1, 5, phi ) * radius, shadowCoord.z ) ) +
					texture( shadowMap, vec3( shadowCoord.xy + vogelDiskSample( 2, 5, phi ) * radius, shadowCoord.z ) ) +
					texture( shadowMap, vec3( shadowCoord.xy + vogelDiskSample( 3, 5, phi ) * radius, shadowCoord.z ) ) +
					texture( shadowMap, vec3( shadowCoord.xy + vogelDiskSample( 4, 5, phi ) * radius, shadowCoord.z ) )
				) * 0.2;
			}
			return mix( 1.0, shadow, shadowIntensity );
		}
	#elif defined( SHADOWMAP_TYPE_VSM )
		float getShadow( sampler2D shadowMap, vec2 shadowMapSize, float shadowIntensity, float shadowBias, float shadowRadius, vec4 shadowCoord ) {
			float shadow = 1.0;
			shadowCoord.xyz /= shadowCoord.w;
			#ifdef USE_REVERSED_DEPTH_BUFFER
				shadowCoord.z -= shadowBias;
			#else
				shadowCoord.z += shadowBias;
			#endif
			bool inFrustum = shadowCoord.x >= 0.0 && shadowCoord.x <= 1.0 && shadowCoord.y >= 0.0 && shadowCoord.y <= 1.0;
			bool frustumTest = inFrustum && shadowCoord.z <= 1.0;
			if ( frustumTest ) {
				vec2 distribution = texture2D( shadowMap, shadowCoord.xy ).rg;
				float mean = distribution.x;
				float variance = distribution.y * distribution.y;
				#ifdef USE_REVERSED_DEPTH_BUFFER
					float hard_shadow = step( mean, shadowCoord.z );
				#else
					float hard_shadow = step( shadowCoord.z, mean );
				#endif
				
				if ( hard_shadow == 1.0 ) {
					shadow = 1.0;
				} else {
					variance = max( variance, 0.0000001 );
					float d = shadowCoord.z - mean;
					float p_max = variance / ( variance + d * d );
					p_max = clamp( ( p_max - 0.3 ) / 0.65, 0.0, 1.0 );
					shadow = max( hard_shadow, p_max );
				}
			}
			return mix( 1.0, shadow, shadowIntensity );
		}
	#else
		float getShadow( sampler2D shadowMap, vec2 shadowMapSize, float shadowIntensity, float shadowBias, float shadowRadius, vec4 shadowCoord ) {
			float shadow = 1.0;
			shadowCoord.xyz /= shadowCoord.w;
			#ifdef USE_REVERSED_DEPTH_BUFFER
				shadowCoord.z -= shadowBias;
			#else
				shadowCoord.z += shadowBias;
			#endif
			bool inFrustum = shadowCoord.x >= 0.0 && shadowCoord.x <= 1.0 && shadowCoord.y >= 0.0 && shadowCoord.y <= 1.0;
			bool frustumTest = inFrustum && shadowCoord.z <= 1.0;
			if ( frustumTest ) {
				float depth = texture2D( shadowMap, shadowCoord.xy ).r;
				#ifdef USE_REVERSED_DEPTH_BUFFER
					shadow = step( depth, shadowCoord.z );
				#else
					shadow = step( shadowCoord.z, depth );
				#endif
			}
			return mix( 1.0, shadow, shadowIntensity );
		}
	#endif
	#if NUM_SUN_LIGHT_SHADOWS > 0
		float getSunShadow(
			#if defined( SHADOWMAP_TYPE_PCF )
				sampler2DShadow shadowMap,
			#else
				sampler2D shadowMap,
			#endif
			SunLightShadow sunLightShadow,
			int shadowIndex
		) {
			vec4 shadowWorldPosition = vec4( vSunShadowWorldPosition.xyz + vSunShadowWorldNormal * sunLightShadow.shadowNormalBias, 1.0 );
			float viewDepth = vSunShadowWorldPosition.w;
			int cascadeOffset = shadowIndex * SUN_LIGHT_CASCADES;
			float shadow = 1.0;
			for ( int i = SUN_LIGHT_CASCADES - 1; i >= 0; i -- ) {
				vec4 cascade = sunShadowCascade[ cascadeOffset + i ];
				if ( viewDepth >= cascade.x && viewDepth < cascade.y ) {
					float cascadeShadow = getShadow(
						shadowMap,
						sunLightShadow.shadowMapSize,
						sunLightShadow.shadowIntensity,
						sunLightShadow.shadowBias,
						sunLightShadow.shadowRadius,
						sunShadowMatrix[ cascadeOffset + i ] * shadowWorldPosition
					);
					shadow = mix( cascadeShadow, shadow, smoothstep( cascade.z, cascade.y, viewDepth ) );
				}
			}
			return shadow;
		}
	#endif
	#if NUM_POINT_LIGHT_SHADOWS > 0
	#if defined( SHADOWMAP_TYPE_PCF )
	float getPointShadow( samplerCubeShadow shadowMap, vec2 shadowMapSize, float shadowIntensity, float shadowBias, float shadowRadius, vec4 shadowCoord, float shadowCameraNear, float shadowCameraFar ) {
		float shadow = 1.0;
		vec3 lightToPosition = shadowCoord.xyz;
		vec3 bd3D = normalize( lightToPosition );
		vec3 absVec = abs( lightToPosition );
		float viewSpaceZ = max( max( absVec.x, absVec.y ), absVec.z );
		if ( viewSpaceZ - shadowCameraFar <= 0.0 && viewSpaceZ - shadowCameraNear >= 0.0 ) {
			float lightDistance = length( lightToPosition );
			float depthRange = shadowCameraFar - shadowCameraNear;
			#ifdef USE_REVERSED_DEPTH_BUFFER
				float depthA = - shadowCameraNear / depthRange - shadowBias;
				float depthB = shadowCameraNear * shadowCameraFar / ( depthRange * lightDistance );
			#else
				float depthA = shadowCameraFar / depthRange + shadowBias;
				float depthB = - shadowCameraNear * shadowCameraFar / ( depthRange * lightDistance );
			#endif
			float texelSize = shadowRadius / shadowMapSize.x;
			vec3 absDir = abs( bd3D );
			vec3 tangent = absDir.x > absDir.z ? vec3( 0.0, 1.0, 0.0 ) : vec3( 1.0, 0.0, 0.0 );
			tangent = normalize( cross( bd3D, tangent ) );
			vec3 bitangent = cross( bd3D, tangent );
			float phi = interleavedGradientNoise( gl_FragCoord.xy ) * PI2;
			shadow = 0.0;
			for ( int i = 0; i < 5; i ++ ) {
				vec2 offset = vogelDiskSample( i, 5, phi );
				vec3 direction = bd3D + ( tangent * offset.x + bitangent * offset.y ) * texelSize;
				vec3 absDirection = abs( direction );
				float dp = depthA + depthB / max( max( absDirection.x, absDirection.y ), absDirection.z );
				shadow += texture( shadowMap, vec4( direction, dp ) );
			}
			shadow *= 0.2;
		}
		return mix( 1.0, shadow, shadowIntensity );
	}
	#elif defined( SHADOWMAP_TYPE_BASIC )
	float getPointShadow( samplerCube shadowMap, vec2 shadowMapSize, float shadowIntensity, float shadowBias, float shadowRadius, vec4 shadowCoord, float shadowCameraNear, float shadowCameraFar ) {
		float shadow = 1.0;
		vec3 lightToPosition = shadowCoord.xyz;
		vec3 absVec = abs( lightToPosition );
		float viewSpaceZ = max( max( absVec.x, absVec.y ), absVec.z );
		if ( viewSpaceZ - shadowCameraFar <= 0.0 && viewSpaceZ - shadowCameraNear >= 0.0 ) {
			float dp = ( shadowCameraFar * ( viewSpaceZ - shadowCameraNear ) ) / ( viewSpaceZ * ( shadowCameraFar - shadowCameraNear ) );
			dp += shadowBias;
			vec3 bd3D = normalize( lightToPosition );
			float depth = textureCube( shadowMap, bd3D ).r;
			#ifdef USE_REVERSED_DEPTH_BUFFER
				depth = 1.0 - depth;
			#endif
			shadow = step( dp, depth );
		}
		return mix( 1.0, shadow, shadowIntensity );
	}
	#endif
	#endif
#endif`,Qy=`#if NUM_SPOT_LIGHT_COORDS > 0
	uniform mat4 spotLightMatrix[ NUM_SPOT_LIGHT_COORDS ];
	varying vec4 vSpotLightCoord[ NUM_SPOT_LIGHT_COORDS ];
#endif
#ifdef USE_SHADOWMAP
	#if NUM_SUN_LIGHT_SHADOWS > 0
		varying vec4 vSunShadowWorldPosition;
		varying vec3 vSunShadowWorldNormal;
	#endif
	#if NUM_DIR_LIGHT_SHADOWS > 0
		uniform mat4 directionalShadowMatrix[ NUM_DIR_LIGHT_SHADOWS ];
		varying vec4 vDirectionalShadowCoord[ NUM_DIR_LIGHT_SHADOWS ];
		struct DirectionalLightShadow {
			float shadowIntensity;
			float shadowBias;
			float shadowNormalBias;
			float shadowRadius;
			vec2 shadowMapSize;
		};
		uniform DirectionalLightShadow directionalLightShadows[ NUM_DIR_LIGHT_SHADOWS ];
	#endif
	#if NUM_SPOT_LIGHT_SHADOWS > 0
		struct SpotLightShadow {
			float shadowIntensity;
			float shadowBias;
			float shadowNormalBias;
			float shadowRadius;
			vec2 shadowMapSize;
		};
		uniform SpotLightShadow spotLightShadows[ NUM_SPOT_LIGHT_SHADOWS ];
	#endif
	#if NUM_POINT_LIGHT_SHADOWS > 0
		uniform mat4 pointShadowMatrix[ NUM_POINT_LIGHT_SHADOWS ];
		varying vec4 vPointShadowCoord[ NUM_POINT_LIGHT_SHADOWS ];
		struct PointLightShadow {
			float shadowIntensity;
			float shadowBias;
			float shadowNormalBias;
			float shadowRadius;
			vec2 shadowMapSize;
			float shadowCameraNear;
			float shadowCameraFar;
		};
		uniform PointLightShadow pointLightShadows[ NUM_POINT_LIGHT_SHADOWS ];
	#endif
#endif`,eb=`#if ( defined( USE_SHADOWMAP ) && ( NUM_DIR_LIGHT_SHADOWS > 0 || NUM_SUN_LIGHT_SHADOWS > 0 || NUM_POINT_LIGHT_SHADOWS > 0 ) ) || ( NUM_SPOT_LIGHT_COORDS > 0 )
	#ifdef HAS_NORMAL
		vec3 shadowWorldNormal = transformNormalByInverseViewMatrix( transformedNormal, viewMatrix );
	#else
		vec3 shadowWorldNormal = vec3( 0.0 );
	#endif
	vec4 shadowWorldPosition;
#endif
#if defined( USE_SHADOWMAP )
	#if NUM_SUN_LIGHT_SHADOWS > 0
		vSunShadowWorldPosition = vec4( worldPosition.xyz, - mvPosition.z );
		vSunShadowWorldNormal = shadowWorldNormal;
	#endif
	#if NUM_DIR_LIGHT_SHADOWS > 0
		#pragma unroll_loop_start
		for ( int i = 0; i < NUM_DIR_LIGHT_SHADOWS; i ++ ) {
			shadowWorldPosition = worldPosition + vec4( shadowWorldNormal * directionalLightShadows[ i ].shadowNormalBias, 0 );
			vDirectionalShadowCoord[ i ] = directionalShadowMatrix[ i ] * shadowWorldPosition;
		}
		#pragma unroll_loop_end
	#endif
	#if NUM_POINT_LIGHT_SHADOWS > 0
		#pragma unroll_loop_start
		for ( int i = 0; i < NUM_POINT_LIGHT_SHADOWS; i ++ ) {
			shadowWorldPosition = worldPosition + vec4( shadowWorldNormal * pointLightShadows[ i ].shadowNormalBias, 0 );
			vPointShadowCoord[ i ] = pointShadowMatrix[ i ] * shadowWorldPosition;
		}
		#pragma unroll_loop_end
	#endif
#endif
#if NUM_SPOT_LIGHT_COORDS > 0
	#pragma unroll_loop_start
	for ( int i = 0; i < NUM_SPOT_LIGHT_COORDS; i ++ ) {
		shadowWorldPosition = worldPosition;
		#if ( defined( USE_SHADOWMAP ) && UNROLLED_LOOP_INDEX < NUM_SPOT_LIGHT_SHADOWS )
			shadowWorldPosition.xyz += shadowWorldNormal * spotLightShadows[ i ].shadowNormalBias;
		#endif
		vSpotLightCoord[ i ] = spotLightMatrix[ i ] * shadowWorldPosition;
	}
	#pragma unroll_loop_end
#endif`,tb=`float getShadowMask() {
	float shadow = 1.0;
	#ifdef USE_SHADOWMAP
	#if NUM_SUN_LIGHT_SHADOWS > 0
	SunLightShadow sunLight;
	#pragma unroll_loop_start
	for ( int i = 0; i < NUM_SUN_LIGHT_SHADOWS; i ++ ) {
		sunLight = sunLightShadows[ i ];
		shadow *= receiveShadow ? getSunShadow( sunShadowMap[ i ], sunLight, UNROLLED_LOOP_INDEX ) : 1.0;
	}
	#pragma unroll_loop_end
	#endif
	#if NUM_DIR_LIGHT_SHADOWS > 0
	DirectionalLightShadow directionalLight;
	#pragma unroll_loop_start
	for ( int i = 0; i < NUM_DIR_LIGHT_SHADOWS; i ++ ) {
		directionalLight = directionalLightShadows[ i ];
		shadow *= receiveShadow ? getShadow( directionalShadowMap[ i ], directionalLight.shadowMapSize, directionalLight.shadowIntensity, directionalLight.shadowBias, directionalLight.shadowRadius, vDirectionalShadowCoord[ i ] ) : 1.0;
	}
	#pragma unroll_loop_end
	#endif
	#if NUM_SPOT_LIGHT_SHADOWS > 0
	SpotLightShadow spotLight;
	#pragma unroll_loop_start
	for ( int i = 0; i < NUM_SPOT_LIGHT_SHADOWS; i ++ ) {
		spotLight = spotLightShadows[ i ];
		shadow *= receiveShadow ? getShadow( spotShadowMap[ i ], spotLight.shadowMapSize, spotLight.shadowIntensity, spotLight.shadowBias, spotLight.shadowRadius, vSpotLightCoord[ i ] ) : 1.0;
	}
	#pragma unroll_loop_end
	#endif
	#if NUM_POINT_LIGHT_SHADOWS > 0 && ( defined( SHADOWMAP_TYPE_PCF ) || defined( SHADOWMAP_TYPE_BASIC ) )
	PointLightShadow pointLight;
	#pragma unroll_loop_start
	for ( int i = 0; i < NUM_POINT_LIGHT_SHADOWS; i ++ ) {
		pointLight = pointLightShadows[ i ];
		shadow *= receiveShadow ? getPointShadow( pointShadowMap[ i ], pointLight.shadowMapSize, pointLight.shadowIntensity, pointLight.shadowBias, pointLight.shadowRadius, vPointShadowCoord[ i ], pointLight.shadowCameraNear, pointLight.shadowCameraFar ) : 1.0;
	}
	#pragma unroll_loop_end
	#endif
	#endif
	return shadow;
}`,nb=`#ifdef USE_SKINNING
	mat4 boneMatX = getBoneMatrix( skinIndex.x );
	mat4 boneMatY = getBoneMatrix( skinIndex.y );
	mat4 boneMatZ = getBoneMatrix( skinIndex.z );
	mat4 boneMatW = getBoneMatrix( skinIndex.w );
#endif`,ib=`#ifdef USE_SKINNING
	uniform mat4 bindMatrix;
	uniform mat4 bindMatrixInverse;
	uniform highp sampler2D boneTexture;
	mat4 getBoneMatrix( const in float i ) {
		int size = textureSize( boneTexture, 0 ).x;
		int j = int( i ) * 4;
		int x = j % size;
		int y = j / size;
		vec4 v1 = texelFetch( boneTexture, ivec2( x, y ), 0 );
		vec4 v2 = texelFetch( boneTexture, ivec2( x + 1, y ), 0 );
		vec4 v3 = texelFetch( boneTexture, ivec2( x + 2, y ), 0 );
		vec4 v4 = texelFetch( boneTexture, ivec2( x + 3, y ), 0 );
		return mat4( v1, v2, v3, v4 );
	}
#endif`,sb=`#ifdef USE_SKINNING
	vec4 skinVertex = bindMatrix * vec4( transformed, 1.0 );
	vec4 skinned = vec4( 0.0 );
	skinned += boneMatX * skinVertex * skinWeight.x;
	skinned += boneMatY * skinVertex * skinWeight.y;
	skinned += boneMatZ * skinVertex * skinWeight.z;
	skinned += boneMatW * skinVertex * skinWeight.w;
	transformed = ( bindMatrixInverse * skinned ).xyz;
#endif`,rb=`#ifdef USE_SKINNING
	mat4 skinMatrix = mat4( 0.0 );
	skinMatrix += skinWeight.x * boneMatX;
	skinMatrix += skinWeight.y * boneMatY;
	skinMatrix += skinWeight.z * boneMatZ;
	skinMatrix += skinWeight.w * boneMatW;
	skinMatrix = bindMatrixInverse * skinMatrix * bindMatrix;
	objectNormal = vec4( skinMatrix * vec4( objectNormal, 0.0 ) ).xyz;
	#ifdef USE_TANGENT
		objectTangent = vec4( skinMatrix * vec4( objectTangent, 0.0 ) ).xyz;
	#endif
#endif`,ab=`float specularStrength;
#ifdef USE_SPECULARMAP
	vec4 texelSpecular = texture2D( specularMap, vSpecularMapUv );
	specularStrength = texelSpecular.r;
#else
	specularStrength = 1.0;
#endif`,ob=`#ifdef USE_SPECULARMAP
	uniform sampler2D specularMap;
#endif`,lb=`#if defined( TONE_MAPPING )
	gl_FragColor.rgb = toneMapping( gl_FragColor.rgb );
#endif`,cb=`#ifndef saturate
#define saturate( a ) clamp( a, 0.0, 1.0 )
#endif
uniform float toneMappingExposure;
vec3 LinearToneMapping( vec3 color ) {
	return saturate( toneMappingExposure * color );
}
vec3 ReinhardToneMapping( vec3 color ) {
	color *= toneMappingExposure;
	return saturate( color / ( vec3( 1.0 ) + color ) );
}
vec3 CineonToneMapping( vec3 color ) {
	color *= toneMappingExposure;
	color = max( vec3( 0.0 ), color - 0.004 );
	return pow( ( color * ( 6.2 * color + 0.5 ) ) / ( color * ( 6.2 * color + 1.7 ) + 0.06 ), vec3( 2.2 ) );
}
vec3 RRTAndODTFit( vec3 v ) {
	vec3 a = v * ( v + 0.0245786 ) - 0.000090537;
	vec3 b = v * ( 0.983729 * v + 0.4329510 ) + 0.238081;
	return a / b;
}
vec3 ACESFilmicToneMapping( vec3 color ) {
	const mat3 ACESInputMat = mat3(
		vec3( 0.59719, 0.07600, 0.02840 ),		vec3( 0.35458, 0.90834, 0.13383 ),
		vec3( 0.04823, 0.01566, 0.83777 )
	);
	const mat3 ACESOutputMat = mat3(
		vec3(  1.60475, -0.10208, -0.00327 ),		vec3( -0.53108,  1.10813, -0.07276 ),
		vec3( -0.07367, -0.00605,  1.07602 )
	);
	color *= toneMappingExposure / 0.6;
	color = ACESInputMat * color;
	color = RRTAndODTFit( color );
	color = ACESOutputMat * color;
	return saturate( color );
}
const mat3 LINEAR_REC2020_TO_LINEAR_SRGB = mat3(
	vec3( 1.6605, - 0.1246, - 0.0182 ),
	vec3( - 0.5876, 1.1329, - 0.1006 ),
	vec3( - 0.0728, - 0.0083, 1.1187 )
);
const mat3 LINEAR_SRGB_TO_LINEAR_REC2020 = mat3(
	vec3( 0.6274, 0.0691, 0.0164 ),
	vec3( 0.3293, 0.9195, 0.0880 ),
	vec3( 0.0433, 0.0113, 0.8956 )
);
vec3 agxDefaultContrastApprox( vec3 x ) {
	vec3 x2 = x * x;
	vec3 x4 = x2 * x2;
	return + 15.5 * x4 * x2
		- 40.14 * x4 * x
		+ 31.96 * x4
		- 6.868 * x2 * x
		+ 0.4298 * x2
		+ 0.1191 * x
		- 0.00232;
}
vec3 AgXToneMapping( vec3 color ) {
	const mat3 AgXInsetMatrix = mat3(
		vec3( 0.856627153315983, 0.137318972929847, 0.11189821299995 ),
		vec3( 0.0951212405381588, 0.761241990602591, 0.0767994186031903 ),
		vec3( 0.0482516061458583, 0.101439036467562, 0.811302368396859 )
	);
	const mat3 AgXOutsetMatrix = mat3(
		vec3( 1.1271005818144368, - 0.1413297634984383, - 0.14132976349843826 ),
		vec3( - 0.11060664309660323, 1.157823702216272, - 0.11060664309660294 ),
		vec3( - 0.016493938717834573, - 0.016493938717834257, 1.2519364065950405 )
	);
	const float AgxMinEv = - 12.47393;	const float AgxMaxEv = 4.026069;
	color *= toneMappingExposure;
	color = LINEAR_SRGB_TO_LINEAR_REC2020 * color;
	color = AgXInsetMatrix * color;
	color = max( color, 1e-10 );	color = log2( color );
	color = ( color - AgxMinEv ) / ( AgxMaxEv - AgxMinEv );
	color = clamp( color, 0.0, 1.0 );
	color = agxDefaultContrastApprox( color );
	color = AgXOutsetMatrix * color;
	color = pow( max( vec3( 0.0 ), color ), vec3( 2.2 ) );
	color = LINEAR_REC2020_TO_LINEAR_SRGB * color;
	color = clamp( color, 0.0, 1.0 );
	return color;
}
vec3 NeutralToneMapping( vec3 color ) {
	const float StartCompression = 0.8 - 0.04;
	const float Desaturation = 0.15;
	color *= toneMappingExposure;
	float x = min( color.r, min( color.g, color.b ) );
	float offset = x < 0.08 ? x - 6.25 * x * x : 0.04;
	color -= offset;
	float peak = max( color.r, max( color.g, color.b ) );
	if ( peak < StartCompression ) return color;
	float d = 1. - StartCompression;
	float newPeak = 1. - d * d / ( peak + d - StartCompression );
	color *= newPeak / peak;
	float g = 1. - 1. / ( Desaturation * ( peak - newPeak ) + 1. );
	return mix( color, vec3( newPeak ), g );
}
vec3 CustomToneMapping( vec3 color ) { return color; }`,hb=`#ifdef USE_TRANSMISSION
	material.transmission = transmission;
	material.transmissionAlpha = 1.0;
	material.thickness = thickness;
	material.attenuationDistance = attenuationDistance;
	material.attenuationColor = attenuationColor;
	#ifdef USE_TRANSMISSIONMAP
		material.transmission *= texture2D( transmissionMap, vTransmissionMapUv ).r;
	#endif
	#ifdef USE_THICKNESSMAP
		material.thickness *= texture2D( thicknessMap, vThicknessMapUv ).g;
	#endif
	vec3 pos = vWorldPosition;
	vec3 v = normalize( cameraPosition - pos );
	vec3 n = transformNormalByInverseViewMatrix( normal, viewMatrix );
	vec4 transmitted = getIBLVolumeRefraction(
		n, v, material.roughness, material.diffuseContribution, material.specularColorBlended, material.specularF90,
		pos, modelMatrix, viewMatrix, projectionMatrix, material.dispersion, material.ior, material.thickness,
		material.attenuationColor, material.attenuationDistance );
	material.transmissionAlpha = mix( material.transmissionAlpha, transmitted.a, material.transmission );
	totalDiffuse = mix( totalDiffuse, transmitted.rgb, material.transmission );
#endif`,ub=`#ifdef USE_TRANSMISSION
	uniform float transmission;
	uniform float thickness;
	uniform float attenuationDistance;
	uniform vec3 attenuationColor;
	#ifdef USE_TRANSMISSIONMAP
		uniform sampler2D transmissionMap;
	#endif
	#ifdef USE_THICKNESSMAP
		uniform sampler2D thicknessMap;
	#endif
	uniform vec2 transmissionSamplerSize;
	uniform sampler2D transmissionSamplerMap;
	uniform mat4 modelMatrix;
	uniform mat4 projectionMatrix;
	varying vec3 vWorldPosition;
	float w0( float a ) {
		return ( 1.0 / 6.0 ) * ( a * ( a * ( - a + 3.0 ) - 3.0 ) + 1.0 );
	}
	float w1( float a ) {
		return ( 1.0 / 6.0 ) * ( a *  a * ( 3.0 * a - 6.0 ) + 4.0 );
	}
	float w2( float a ){
		return ( 1.0 / 6.0 ) * ( a * ( a * ( - 3.0 * a + 3.0 ) + 3.0 ) + 1.0 );
	}
	float w3( float a ) {
		return ( 1.0 / 6.0 ) * ( a * a * a );
	}
	float g0( float a ) {
		return w0( a ) + w1( a );
	}
	float g1( float a ) {
		return w2( a ) + w3( a );
	}
	float h0( float a ) {
		return - 1.0 + w1( a ) / ( w0( a ) + w1( a ) );
	}
	float h1( float a ) {
		return 1.0 + w3( a ) / ( w2( a ) + w3( a ) );
	}
	vec4 bicubic( sampler2D tex, vec2 uv, vec4 texelSize, float lod ) {
		uv = uv * texelSize.zw + 0.5;
		vec2 iuv = floor( uv );
		vec2 fuv = fract( uv );
		float g0x = g0( fuv.x );
		float g1x = g1( fuv.x );
		float h0x = h0( fuv.x );
		float h1x = h1( fuv.x );
		float h0y = h0( fuv.y );
		float h1y = h1( fuv.y );
		vec2 p0 = ( vec2( iuv.x + h0x, iuv.y + h0y ) - 0.5 ) * texelSize.xy;
		vec2 p1 = ( vec2( iuv.x + h1x, iuv.y + h0y ) - 0.5 ) * texelSize.xy;
		vec2 p2 = ( vec2( iuv.x + h0x, iuv.y + h1y ) - 0.5 ) * texelSize.xy;
		vec2 p3 = ( vec2( iuv.x + h1x, iuv.y + h1y ) - 0.5 ) * texelSize.xy;
		return g0( fuv.y ) * ( g0x * textureLod( tex, p0, lod ) + g1x * textureLod( tex, p1, lod ) ) +
			g1( fuv.y ) * ( g0x * textureLod( tex, p2, lod ) + g1x * textureLod( tex, p3, lod ) );
	}
	vec4 textureBicubic( sampler2D sampler, vec2 uv, float lod ) {
		vec2 fLodSize = vec2( textureSize( sampler, int( lod ) ) );
		vec2 cLodSize = vec2( textureSize( sampler, int( lod + 1.0 ) ) );
		vec2 fLodSizeInv = 1.0 / fLodSize;
		vec2 cLodSizeInv = 1.0 / cLodSize;
		vec4 fSample = bicubic( sampler, uv, vec4( fLodSizeInv, fLodSize ), floor( lod ) );
		vec4 cSample = bicubic( sampler, uv, vec4( cLodSizeInv, cLodSize ), ceil( lod ) );
		return mix( fSample, cSample, fract( lod ) );
	}
	vec3 getVolumeTransmissionRay( const in vec3 n, const in vec3 v, const in float thickness, const in float ior, const in mat4 modelMatrix ) {
		vec3 refractionVector = refract( - v, normalize( n ), 1.0 / ior );
		vec3 modelScale;
		modelScale.x = length( vec3( modelMatrix[ 0 ].xyz ) );
		modelScale.y = length( vec3( modelMatrix[ 1 ].xyz ) );
		modelScale.z = length( vec3( modelMatrix[ 2 ].xyz ) );
		return normalize( refractionVector ) * thickness * modelScale;
	}
	float applyIorToRoughness( const in float roughness, const in float ior ) {
		return roughness * clamp( ior * 2.0 - 2.0, 0.0, 1.0 );
	}
	vec4 getTransmissionSample( const in vec2 fragCoord, const in float roughness, const in float ior ) {
		float lod = log2( transmissionSamplerSize.x ) * applyIorToRoughness( roughness, ior );
		return textureBicubic( transmissionSamplerMap, fragCoord.xy, lod );
	}
	vec3 volumeAttenuation( const in float transmissionDistance, const in vec3 attenuationColor, const in float attenuationDistance ) {
		if ( isinf( attenuationDistance ) ) {
			return vec3( 1.0 );
		} else {
			vec3 attenuationCoefficient = -log( attenuationColor ) / attenuationDistance;
			vec3 transmittance = exp( - attenuationCoefficient * transmissionDistance );			return transmittance;
		}
	}
	vec4 getIBLVolumeRefraction( const in vec3 n, const in vec3 v, const in float roughness, const in vec3 diffuseColor,
		const in vec3 specularColor, const in float specularF90, const in vec3 position, const in mat4 modelMatrix,
		const in mat4 viewMatrix, const in mat4 projMatrix, const in float dispersion, const in float ior, const in float thickness,
		const in vec3 attenuationColor, const in float attenuationDistance ) {
		vec4 transmittedLight;
		vec3 transmittance;
		#ifdef USE_DISPERSION
			float halfSpread = ( ior - 1.0 ) * 0.025 * dispersion;
			vec3 iors = vec3( ior - halfSpread, ior, ior + halfSpread );
			for ( int i = 0; i < 3; i ++ ) {
				vec3 transmissionRay = getVolumeTransmissionRay( n, v, thickness, iors[ i ], modelMatrix );
				vec3 refractedRayExit = position + transmissionRay;
				vec4 ndcPos = projMatrix * viewMatrix * vec4( refractedRayExit, 1.0 );
				vec2 refractionCoords = ndcPos.xy / ndcPos.w;
				refractionCoords += 1.0;
				refractionCoords /= 2.0;
				vec4 transmissionSample = getTransmissionSample( refractionCoords, roughness, iors[ i ] );
				transmittedLight[ i ] = transmissionSample[ i ];
				transmittedLight.a += transmissionSample.a;
				transmittance[ i ] = diffuseColor[ i ] * volumeAttenuation( length( transmissionRay ), attenuationColor, attenuationDistance )[ i ];
			}
			transmittedLight.a /= 3.0;
		#else
			vec3 transmissionRay = getVolumeTransmissionRay( n, v, thickness, ior, modelMatrix );
			vec3 refractedRayExit = position + transmissionRay;
			vec4 ndcPos = projMatrix * viewMatrix * vec4( refractedRayExit, 1.0 );
			vec2 refractionCoords = ndcPos.xy / ndcPos.w;
			refractionCoords += 1.0;
			refractionCoords /= 2.0;
			transmittedLight = getTransmissionSample( refractionCoords, roughness, ior );
			transmittance = diffuseColor * volumeAttenuation( length( transmissionRay ), attenuationColor, attenuationDistance );
		#endif
		vec3 attenuatedColor = transmittance * transmittedLight.rgb;
		vec3 F = EnvironmentBRDF( n, v, specularColor, specularF90, roughness );
		float transmittanceFactor = ( transmittance.r + transmittance.g + transmittance.b ) / 3.0;
		return vec4( ( 1.0 - F ) * attenuatedColor, 1.0 - ( 1.0 - transmittedLight.a ) * transmittanceFactor );
	}
#endif`,db=`#if defined( USE_UV ) || defined( USE_ANISOTROPY )
	varying vec2 vUv;
#endif
#ifdef USE_MAP
	varying vec2 vMapUv;
#endif
#ifdef USE_ALPHAMAP
	varying vec2 vAlphaMapUv;
#endif
#ifdef USE_LIGHTMAP
	varying vec2 vLightMapUv;
#endif
#ifdef USE_AOMAP
	varying vec2 vAoMapUv;
#endif
#ifdef USE_BUMPMAP
	varying vec2 vBumpMapUv;
#endif
#ifdef USE_NORMALMAP
	varying vec2 vNormalMapUv;
#endif
#ifdef USE_EMISSIVEMAP
	varying vec2 vEmissiveMapUv;
#endif
#ifdef USE_METALNESSMAP
	varying vec2 vMetalnessMapUv;
#endif
#ifdef USE_ROUGHNESSMAP
	varying vec2 vRoughnessMapUv;
#endif
#ifdef USE_DIFFUSE_ROUGHNESSMAP
	varying vec2 vDiffuseRoughnessMapUv;
#endif
#ifdef USE_ANISOTROPYMAP
	varying vec2 vAnisotropyMapUv;
#endif
#ifdef USE_CLEARCOATMAP
	varying vec2 vClearcoatMapUv;
#endif
#ifdef USE_CLEARCOAT_NORMALMAP
	varying vec2 vClearcoatNormalMapUv;
#endif
#ifdef USE_CLEARCOAT_ROUGHNESSMAP
	varying vec2 vClearcoatRoughnessMapUv;
#endif
#ifdef USE_IRIDESCENCEMAP
	varying vec2 vIridescenceMapUv;
#endif
#ifdef USE_IRIDESCENCE_THICKNESSMAP
	varying vec2 vIridescenceThicknessMapUv;
#endif
#ifdef USE_SHEEN_COLORMAP
	varying vec2 vSheenColorMapUv;
#endif
#ifdef USE_SHEEN_ROUGHNESSMAP
	varying vec2 vSheenRoughnessMapUv;
#endif
#ifdef USE_SPECULARMAP
	varying vec2 vSpecularMapUv;
#endif
#ifdef USE_SPECULAR_COLORMAP
	varying vec2 vSpecularColorMapUv;
#endif
#ifdef USE_SPECULAR_INTENSITYMAP
	varying vec2 vSpecularIntensityMapUv;
#endif
#ifdef USE_TRANSMISSIONMAP
	uniform mat3 transmissionMapTransform;
	varying vec2 vTransmissionMapUv;
#endif
#ifdef USE_THICKNESSMAP
	uniform mat3 thicknessMapTransform;
	varying vec2 vThicknessMapUv;
#endif`,fb=`#if defined( USE_UV ) || defined( USE_ANISOTROPY )
	varying vec2 vUv;
#endif
#ifdef USE_MAP
	uniform mat3 mapTransform;
	varying vec2 vMapUv;
#endif
#ifdef USE_ALPHAMAP
	uniform mat3 alphaMapTransform;
	varying vec2 vAlphaMapUv;
#endif
#ifdef USE_LIGHTMAP
	uniform mat3 lightMapTransform;
	varying vec2 vLightMapUv;
#endif
#ifdef USE_AOMAP
	uniform mat3 aoMapTransform;
	varying vec2 vAoMapUv;
#endif
#ifdef USE_BUMPMAP
	uniform mat3 bumpMapTransform;
	varying vec2 vBumpMapUv;
#endif
#ifdef USE_NORMALMAP
	uniform mat3 normalMapTransform;
	varying vec2 vNormalMapUv;
#endif
#ifdef USE_DISPLACEMENTMAP
	uniform mat3 displacementMapTransform;
	varying vec2 vDisplacementMapUv;
#endif
#ifdef USE_EMISSIVEMAP
	uniform mat3 emissiveMapTransform;
	varying vec2 vEmissiveMapUv;
#endif
#ifdef USE_METALNESSMAP
	uniform mat3 metalnessMapTransform;
	varying vec2 vMetalnessMapUv;
#endif
#ifdef USE_ROUGHNESSMAP
	uniform mat3 roughnessMapTransform;
	varying vec2 vRoughnessMapUv;
#endif
#ifdef USE_DIFFUSE_ROUGHNESSMAP
	uniform mat3 diffuseRoughnessMapTransform;
	varying vec2 vDiffuseRoughnessMapUv;
#endif
#ifdef USE_ANISOTROPYMAP
	uniform mat3 anisotropyMapTransform;
	varying vec2 vAnisotropyMapUv;
#endif
#ifdef USE_CLEARCOATMAP
	uniform mat3 clearcoatMapTransform;
	varying vec2 vClearcoatMapUv;
#endif
#ifdef USE_CLEARCOAT_NORMALMAP
	uniform mat3 clearcoatNormalMapTransform;
	varying vec2 vClearcoatNormalMapUv;
#endif
#ifdef USE_CLEARCOAT_ROUGHNESSMAP
	uniform mat3 clearcoatRoughnessMapTransform;
	varying vec2 vClearcoatRoughnessMapUv;
#endif
#ifdef USE_SHEEN_COLORMAP
	uniform mat3 sheenColorMapTransform;
	varying vec2 vSheenColorMapUv;
#endif
#ifdef USE_SHEEN_ROUGHNESSMAP
	uniform mat3 sheenRoughnessMapTransform;
	varying vec2 vSheenRoughnessMapUv;
#endif
#ifdef USE_IRIDESCENCEMAP
	uniform mat3 iridescenceMapTransform;
	varying vec2 vIridescenceMapUv;
#endif
#ifdef USE_IRIDESCENCE_THICKNESSMAP
	uniform mat3 iridescenceThicknessMapTransform;
	varying vec2 vIridescenceThicknessMapUv;
#endif
#ifdef USE_SPECULARMAP
	uniform mat3 specularMapTransform;
	varying vec2 vSpecularMapUv;
#endif
#ifdef USE_SPECULAR_COLORMAP
	uniform mat3 specularColorMapTransform;
	varying vec2 vSpecularColorMapUv;
#endif
#ifdef USE_SPECULAR_INTENSITYMAP
	uniform mat3 specularIntensityMapTransform;
	varying vec2 vSpecularIntensityMapUv;
#endif
#ifdef USE_TRANSMISSIONMAP
	uniform mat3 transmissionMapTransform;
	varying vec2 vTransmissionMapUv;
#endif
#ifdef USE_THICKNESSMAP
	uniform mat3 thicknessMapTransform;
	varying vec2 vThicknessMapUv;
#endif`,pb=`#if defined( USE_UV ) || defined( USE_ANISOTROPY )
	vUv = vec3( uv, 1 ).xy;
#endif
#ifdef USE_MAP
	vMapUv = ( mapTransform * vec3( MAP_UV, 1 ) ).xy;
#endif
#ifdef USE_ALPHAMAP
	vAlphaMapUv = ( alphaMapTransform * vec3( ALPHAMAP_UV, 1 ) ).xy;
#endif
#ifdef USE_LIGHTMAP
	vLightMapUv = ( lightMapTransform * vec3( LIGHTMAP_UV, 1 ) ).xy;
#endif
#ifdef USE_AOMAP
	vAoMapUv = ( aoMapTransform * vec3( AOMAP_UV, 1 ) ).xy;
#endif
#ifdef USE_BUMPMAP
	vBumpMapUv = ( bumpMapTransform * vec3( BUMPMAP_UV, 1 ) ).xy;
#endif
#ifdef USE_NORMALMAP
	vNormalMapUv = ( normalMapTransform * vec3( NORMALMAP_UV, 1 ) ).xy;
#endif
#ifdef USE_DISPLACEMENTMAP
	vDisplacementMapUv = ( displacementMapTransform * vec3( DISPLACEMENTMAP_UV, 1 ) ).xy;
#endif
#ifdef USE_EMISSIVEMAP
	vEmissiveMapUv = ( emissiveMapTransform * vec3( EMISSIVEMAP_UV, 1 ) ).xy;
#endif
#ifdef USE_METALNESSMAP
	vMetalnessMapUv = ( metalnessMapTransform * vec3( METALNESSMAP_UV, 1 ) ).xy;
#endif
#ifdef USE_ROUGHNESSMAP
	vRoughnessMapUv = ( roughnessMapTransform * vec3( ROUGHNESSMAP_UV, 1 ) ).xy;
#endif
#ifdef USE_DIFFUSE_ROUGHNESSMAP
	vDiffuseRoughnessMapUv = ( diffuseRoughnessMapTransform * vec3( DIFFUSE_ROUGHNESSMAP_UV, 1 ) ).xy;
#endif
#ifdef USE_ANISOTROPYMAP
	vAnisotropyMapUv = ( anisotropyMapTransform * vec3( ANISOTROPYMAP_UV, 1 ) ).xy;
#endif
#ifdef USE_CLEARCOATMAP
	vClearcoatMapUv = ( clearcoatMapTransform * vec3( CLEARCOATMAP_UV, 1 ) ).xy;
#endif
#ifdef USE_CLEARCOAT_NORMALMAP
	vClearcoatNormalMapUv = ( clearcoatNormalMapTransform * vec3( CLEARCOAT_NORMALMAP_UV, 1 ) ).xy;
#endif
#ifdef USE_CLEARCOAT_ROUGHNESSMAP
	vClearcoatRoughnessMapUv = ( clearcoatRoughnessMapTransform * vec3( CLEARCOAT_ROUGHNESSMAP_UV, 1 ) ).xy;
#endif
#ifdef USE_IRIDESCENCEMAP
	vIridescenceMapUv = ( iridescenceMapTransform * vec3( IRIDESCENCEMAP_UV, 1 ) ).xy;
#endif
#ifdef USE_IRIDESCENCE_THICKNESSMAP
	vIridescenceThicknessMapUv = ( iridescenceThicknessMapTransform * vec3( IRIDESCENCE_THICKNESSMAP_UV, 1 ) ).xy;
#endif
#ifdef USE_SHEEN_COLORMAP
	vSheenColorMapUv = ( sheenColorMapTransform * vec3( SHEEN_COLORMAP_UV, 1 ) ).xy;
#endif
#ifdef USE_SHEEN_ROUGHNESSMAP
	vSheenRoughnessMapUv = ( sheenRoughnessMapTransform * vec3( SHEEN_ROUGHNESSMAP_UV, 1 ) ).xy;
#endif
#ifdef USE_SPECULARMAP
	vSpecularMapUv = ( specularMapTransform * vec3( SPECULARMAP_UV, 1 ) ).xy;
#endif
#ifdef USE_SPECULAR_COLORMAP
	vSpecularColorMapUv = ( specularColorMapTransform * vec3( SPECULAR_COLORMAP_UV, 1 ) ).xy;
#endif
#ifdef USE_SPECULAR_INTENSITYMAP
	vSpecularIntensityMapUv = ( specularIntensityMapTransform * vec3( SPECULAR_INTENSITYMAP_UV, 1 ) ).xy;
#endif
#ifdef USE_TRANSMISSIONMAP
	vTransmissionMapUv = ( transmissionMapTransform * vec3( TRANSMISSIONMAP_UV, 1 ) ).xy;
#endif
#ifdef USE_THICKNESSMAP
	vThicknessMapUv = ( thicknessMapTransform * vec3( THICKNESSMAP_UV, 1 ) ).xy;
#endif`,mb=`#if defined( USE_ENVMAP ) || defined( DISTANCE ) || defined ( USE_SHADOWMAP ) || defined ( USE_TRANSMISSION ) || NUM_SPOT_LIGHT_COORDS > 0
	vec4 worldPosition = vec4( transformed, 1.0 );
	#ifdef USE_BATCHING
		worldPosition = batchingMatrix * worldPosition;
	#endif
	#ifdef USE_INSTANCING
		worldPosition = instanceMatrix * worldPosition;
	#endif
	worldPosition = modelMatrix * worldPosition;
#endif`,gb=`varying vec2 vUv;
uniform mat3 uvTransform;
void main() {
	vUv = ( uvTransform * vec3( uv, 1 ) ).xy;
	gl_Position = vec4( position.xy, 1.0, 1.0 );
}`,_b=`uniform sampler2D t2D;
uniform float backgroundIntensity;
varying vec2 vUv;
void main() {
	vec4 texColor = texture2D( t2D, vUv );
	#ifdef DECODE_VIDEO_TEXTURE
		texColor = vec4( mix( pow( texColor.rgb * 0.9478672986 + vec3( 0.0521327014 ), vec3( 2.4 ) ), texColor.rgb * 0.0773993808, vec3( lessThanEqual( texColor.rgb, vec3( 0.04045 ) ) ) ), texColor.w );
	#endif
	texColor.rgb *= backgroundIntensity;
	gl_FragColor = texColor;
	#include <tonemapping_fragment>
	#include <colorspace_fragment>
}`,vb=`varying vec3 vWorldDirection;
#include <common>
void main() {
	vWorldDirection = transformDirection( position, modelMatrix );
	#include <begin_vertex>
	#include <project_vertex>
	gl_Position.z = gl_Position.w;
}`,xb=`uniform float backgroundBlurriness;
uniform float backgroundIntensity;
uniform mat3 backgroundRotation;
varying vec3 vWorldDirection;
#include <envmap_common_pars_fragment>
void main() {
	#ifdef ENVMAP_TYPE_PMREM
		vec4 texColor = textureLod( envMap, backgroundRotation * vWorldDirection, roughnessToMip( backgroundBlurriness ) );
	#else
		vec4 texColor = textureCube( envMap, backgroundRotation * vWorldDirection );
	#endif
	texColor.rgb *= backgroundIntensity;
	gl_FragColor = texColor;
	#include <tonemapping_fragment>
	#include <colorspace_fragment>
}`,yb=`varying vec3 vWorldDirection;
#include <common>
void main() {
	vWorldDirection = transformDirection( position, modelMatrix );
	#include <begin_vertex>
	#include <project_vertex>
	gl_Position.z = gl_Position.w;
}`,bb=`uniform samplerCube tCube;
uniform float tFlip;
uniform float opacity;
varying vec3 vWorldDirection;
void main() {
	vec4 texColor = textureCube( tCube, vec3( tFlip * vWorldDirection.x, vWorldDirection.yz ) );
	gl_FragColor = texColor;
	gl_FragColor.a *= opacity;
	#include <tonemapping_fragment>
	#include <colorspace_fragment>
}`,Sb=`#include <common>
#include <batching_pars_vertex>
#include <uv_pars_vertex>
#include <displacementmap_pars_vertex>
#include <morphtarget_pars_vertex>
#include <skinning_pars_vertex>
#include <logdepthbuf_pars_vertex>
#include <clipping_planes_pars_vertex>
varying vec2 vHighPrecisionZW;
void main() {
	#include <uv_vertex>
	#include <batching_vertex>
	#include <skinbase_vertex>
	#include <morphinstance_vertex>
	#ifdef USE_DISPLACEMENTMAP
		#include <beginnormal_vertex>
		#include <morphnormal_vertex>
		#include <skinnormal_vertex>
	#endif
	#include <begin_vertex>
	#include <morphtarget_vertex>
	#include <skinning_vertex>
	#include <displacementmap_vertex>
	#include <project_vertex>
	#include <logdepthbuf_vertex>
	#include <clipping_planes_vertex>
	vHighPrecisionZW = gl_Position.zw;
}`,Mb=`#if DEPTH_PACKING == 3200
	uniform float opacity;
#endif
#include <common>
#include <packing>
#include <uv_pars_fragment>
#include <map_pars_fragment>
#include <alphamap_pars_fragment>
#include <alphatest_pars_fragment>
#include <alphahash_pars_fragment>
#include <logdepthbuf_pars_fragment>
#include <clipping_planes_pars_fragment>
varying vec2 vHighPrecisionZW;
void main() {
	vec4 diffuseColor = vec4( 1.0 );
	#include <clipping_planes_fragment>
	#if DEPTH_PACKING == 3200
		diffuseColor.a = opacity;
	#endif
	#include <map_fragment>
	#include <alphamap_fragment>
	#include <alphatest_fragment>
	#include <alphahash_fragment>
	#include <logdepthbuf_fragment>
	#ifdef USE_REVERSED_DEPTH_BUFFER
		float fragCoordZ = vHighPrecisionZW[ 0 ] / vHighPrecisionZW[ 1 ];
	#else
		float fragCoordZ = 0.5 * vHighPrecisionZW[ 0 ] / vHighPrecisionZW[ 1 ] + 0.5;
	#endif
	#if DEPTH_PACKING == 3200
		gl_FragColor = vec4( vec3( 1.0 - fragCoordZ ), opacity );
	#elif DEPTH_PACKING == 3201
		gl_FragColor = packDepthToRGBA( fragCoordZ );
	#elif DEPTH_PACKING == 3202
		gl_FragColor = vec4( packDepthToRGB( fragCoordZ ), 1.0 );
	#elif DEPTH_PACKING == 3203
		gl_FragColor = vec4( packDepthToRG( fragCoordZ ), 0.0, 1.0 );
	#endif
}`,wb=`#define DISTANCE
varying vec3 vWorldPosition;
#include <common>
#include <batching_pars_vertex>
#include <uv_pars_vertex>
#include <displacementmap_pars_vertex>
#include <morphtarget_pars_vertex>
#include <skinning_pars_vertex>
#include <clipping_planes_pars_vertex>
void main() {
	#include <uv_vertex>
	#include <batching_vertex>
	#include <skinbase_vertex>
	#include <morphinstance_vertex>
	#ifdef USE_DISPLACEMENTMAP
		#include <beginnormal_vertex>
		#include <morphnormal_vertex>
		#include <skinnormal_vertex>
	#endif
	#include <begin_vertex>
	#include <morphtarget_vertex>
	#include <skinning_vertex>
	#include <displacementmap_vertex>
	#include <project_vertex>
	#include <worldpos_vertex>
	#include <clipping_planes_vertex>
	vWorldPosition = worldPosition.xyz;
}`,Tb=`#define DISTANCE
uniform vec3 referencePosition;
uniform float nearDistance;
uniform float farDistance;
varying vec3 vWorldPosition;
#include <common>
#include <uv_pars_fragment>
#include <map_pars_fragment>
#include <alphamap_pars_fragment>
#include <alphatest_pars_fragment>
#include <alphahash_pars_fragment>
#include <clipping_planes_pars_fragment>
void main() {
	vec4 diffuseColor = vec4( 1.0 );
	#include <clipping_planes_fragment>
	#include <map_fragment>
	#include <alphamap_fragment>
	#include <alphatest_fragment>
	#include <alphahash_fragment>
	float dist = length( vWorldPosition - referencePosition );
	dist = ( dist - nearDistance ) / ( farDistance - nearDistance );
	dist = saturate( dist );
	gl_FragColor = vec4( dist, 0.0, 0.0, 1.0 );
}`,Eb=`varying vec3 vWorldDirection;
#include <common>
void main() {
	vWorldDirection = transformDirection( position, modelMatrix );
	#include <begin_vertex>
	#include <project_vertex>
}`,Ab=`uniform sampler2D tEquirect;
varying vec3 vWorldDirection;
#include <common>
void main() {
	vec3 direction = normalize( vWorldDirection );
	vec2 sampleUV = equirectUv( direction );
	gl_FragColor = texture2D( tEquirect, sampleUV );
	#include <tonemapping_fragment>
	#include <colorspace_fragment>
}`,Cb=`uniform float scale;
attribute float lineDistance;
varying float vLineDistance;
#include <common>
#include <uv_pars_vertex>
#include <color_pars_vertex>
#include <fog_pars_vertex>
#include <morphtarget_pars_vertex>
#include <logdepthbuf_pars_vertex>
#include <clipping_planes_pars_vertex>
void main() {
	vLineDistance = scale * lineDistance;
	#include <uv_vertex>
	#include <color_vertex>
	#include <morphinstance_vertex>
	#include <morphcolor_vertex>
	#include <begin_vertex>
	#include <morphtarget_vertex>
	#include <project_vertex>
	#include <logdepthbuf_vertex>
	#include <clipping_planes_vertex>
	#include <fog_vertex>
}`,Rb=`uniform vec3 diffuse;
uniform float opacity;
uniform float dashSize;
uniform float totalSize;
varying float vLineDistance;
#include <common>
#include <color_pars_fragment>
#include <uv_pars_fragment>
#include <map_pars_fragment>
#include <fog_pars_fragment>
#include <logdepthbuf_pars_fragment>
#include <clipping_planes_pars_fragment>
void main() {
	vec4 diffuseColor = vec4( diffuse, opacity );
	#include <clipping_planes_fragment>
	if ( mod( vLineDistance, totalSize ) > dashSize ) {
		discard;
	}
	vec3 outgoingLight = vec3( 0.0 );
	#include <logdepthbuf_fragment>
	#include <map_fragment>
	#include <color_fragment>
	outgoingLight = diffuseColor.rgb;
	#include <opaque_fragment>
	#include <tonemapping_fragment>
	#include <colorspace_fragment>
	#include <fog_fragment>
	#include <premultiplied_alpha_fragment>
}`,Pb=`#include <common>
#include <batching_pars_vertex>
#include <uv_pars_vertex>
#include <envmap_pars_vertex>
#include <color_pars_vertex>
#include <fog_pars_vertex>
#include <morphtarget_pars_vertex>
#include <skinning_pars_vertex>
#include <logdepthbuf_pars_vertex>
#include <clipping_planes_pars_vertex>
void main() {
	#include <uv_vertex>
	#include <color_vertex>
	#include <morphinstance_vertex>
	#include <morphcolor_vertex>
	#include <batching_vertex>
	#if defined ( USE_ENVMAP ) || defined ( USE_SKINNING )
		#include <beginnormal_vertex>
		#include <morphnormal_vertex>
		#include <skinbase_vertex>
		#include <skinnormal_vertex>
		#include <defaultnormal_vertex>
	#endif
	#include <begin_vertex>
	#include <morphtarget_vertex>
	#include <skinning_vertex>
	#include <project_vertex>
	#include <logdepthbuf_vertex>
	#include <clipping_planes_vertex>
	#include <worldpos_vertex>
	#include <envmap_vertex>
	#include <fog_vertex>
}`,Ib=`uniform vec3 diffuse;
uniform float opacity;
#ifndef FLAT_SHADED
	varying vec3 vNormal;
#endif
#include <common>
#include <dithering_pars_fragment>
#include <color_pars_fragment>
#include <uv_pars_fragment>
#include <map_pars_fragment>
#include <alphamap_pars_fragment>
#include <alphatest_pars_fragment>
#include <alphahash_pars_fragment>
#include <aomap_pars_fragment>
#include <lightmap_pars_fragment>
#include <envmap_common_pars_fragment>
#include <envmap_pars_fragment>
#include <fog_pars_fragment>
#include <specularmap_pars_fragment>
#include <logdepthbuf_pars_fragment>
#include <clipping_planes_pars_fragment>
void main() {
	vec4 diffuseColor = vec4( diffuse, opacity );
	#include <clipping_planes_fragment>
	#include <logdepthbuf_fragment>
	#include <map_fragment>
	#include <color_fragment>
	#include <alphamap_fragment>
	#include <alphatest_fragment>
	#include <alphahash_fragment>
	#include <specularmap_fragment>
	ReflectedLight reflectedLight = ReflectedLight( vec3( 0.0 ), vec3( 0.0 ), vec3( 0.0 ), vec3( 0.0 ) );
	#ifdef USE_LIGHTMAP
		vec4 lightMapTexel = texture2D( lightMap, vLightMapUv );
		reflectedLight.indirectDiffuse += lightMapTexel.rgb * lightMapIntensity * RECIPROCAL_PI;
	#else
		reflectedLight.indirectDiffuse += vec3( 1.0 );
	#endif
	#include <aomap_fragment>
	reflectedLight.indirectDiffuse *= diffuseColor.rgb;
	vec3 outgoingLight = reflectedLight.indirectDiffuse;
	#include <envmap_fragment>
	#include <opaque_fragment>
	#include <tonemapping_fragment>
	#include <colorspace_fragment>
	#include <fog_fragment>
	#include <premultiplied_alpha_fragment>
	#include <dithering_fragment>
}`,Lb=`#define LAMBERT
varying vec3 vViewPosition;
#include <common>
#include <batching_pars_vertex>
#include <uv_pars_vertex>
#include <displacementmap_pars_vertex>
#include <envmap_pars_vertex>
#include <color_pars_vertex>
#include <fog_pars_vertex>
#include <normal_pars_vertex>
#include <morphtarget_pars_vertex>
#include <skinning_pars_vertex>
#include <shadowmap_pars_vertex>
#include <logdepthbuf_pars_vertex>
#include <clipping_planes_pars_vertex>
void main() {
	#include <uv_vertex>
	#include <color_vertex>
	#include <morphinstance_vertex>
	#include <morphcolor_vertex>
	#include <batching_vertex>
	#include <beginnormal_vertex>
	#include <morphnormal_vertex>
	#include <skinbase_vertex>
	#include <skinnormal_vertex>
	#include <defaultnormal_vertex>
	#include <normal_vertex>
	#include <begin_vertex>
	#include <morphtarget_vertex>
	#include <skinning_vertex>
	#include <displacementmap_vertex>
	#include <project_vertex>
	#include <logdepthbuf_vertex>
	#include <clipping_planes_vertex>
	vViewPosition = - mvPosition.xyz;
	#include <worldpos_vertex>
	#include <envmap_vertex>
	#include <shadowmap_vertex>
	#include <fog_vertex>
}`,Nb=`#define LAMBERT
uniform vec3 diffuse;
uniform vec3 emissive;
uniform float opacity;
#include <common>
#include <dithering_pars_fragment>
#include <color_pars_fragment>
#include <uv_pars_fragment>
#include <map_pars_fragment>
#include <alphamap_pars_fragment>
#include <alphatest_pars_fragment>
#include <alphahash_pars_fragment>
#include <aomap_pars_fragment>
#include <lightmap_pars_fragment>
#include <emissivemap_pars_fragment>
#include <envmap_common_pars_fragment>
#include <envmap_pars_fragment>
#include <envmap_physical_pars_fragment>
#include <fog_pars_fragment>
#include <bsdfs>
#include <lights_pars_begin>
#include <normal_pars_fragment>
#include <lights_lambert_pars_fragment>
#include <shadowmap_pars_fragment>
#include <bumpmap_pars_fragment>
#include <normalmap_pars_fragment>
#include <specularmap_pars_fragment>
#include <logdepthbuf_pars_fragment>
#include <clipping_planes_pars_fragment>
void main() {
	vec4 diffuseColor = vec4( diffuse, opacity );
	#include <clipping_planes_fragment>
	ReflectedLight reflectedLight = ReflectedLight( vec3( 0.0 ), vec3( 0.0 ), vec3( 0.0 ), vec3( 0.0 ) );
	vec3 totalEmissiveRadiance = emissive;
	#include <logdepthbuf_fragment>
	#include <map_fragment>
	#include <color_fragment>
	#include <alphamap_fragment>
	#include <alphatest_fragment>
	#include <alphahash_fragment>
	#include <specularmap_fragment>
	#include <normal_fragment_begin>
	#include <normal_fragment_maps>
	#include <emissivemap_fragment>
	#include <lights_lambert_fragment>
	#include <lights_fragment_begin>
	#include <lights_fragment_maps>
	#include <lights_fragment_end>
	#include <aomap_fragment>
	vec3 outgoingLight = reflectedLight.directDiffuse + reflectedLight.indirectDiffuse + totalEmissiveRadiance;
	#include <envmap_fragment>
	#include <opaque_fragment>
	#include <tonemapping_fragment>
	#include <colorspace_fragment>
	#include <fog_fragment>
	#include <premultiplied_alpha_fragment>
	#include <dithering_fragment>
}`,Db=`#define MATCAP
varying vec3 vViewPosition;
#include <common>
#include <batching_pars_vertex>
#include <uv_pars_vertex>
#include <color_pars_vertex>
#include <displacementmap_pars_vertex>
#include <fog_pars_vertex>
#include <normal_pars_vertex>
#include <morphtarget_pars_vertex>
#include <skinning_pars_vertex>
#include <logdepthbuf_pars_vertex>
#include <clipping_planes_pars_vertex>
void main() {
	#include <uv_vertex>
	#include <color_vertex>
	#include <morphinstance_vertex>
	#include <morphcolor_vertex>
	#include <batching_vertex>
	#include <beginnormal_vertex>
	#include <morphnormal_vertex>
	#include <skinbase_vertex>
	#include <skinnormal_vertex>
	#include <defaultnormal_vertex>
	#include <normal_vertex>
	#include <begin_vertex>
	#include <morphtarget_vertex>
	#include <skinning_vertex>
	#include <displacementmap_vertex>
	#include <project_vertex>
	#include <logdepthbuf_vertex>
	#include <clipping_planes_vertex>
	#include <fog_vertex>
	vViewPosition = - mvPosition.xyz;
}`,Fb=`#define MATCAP
uniform vec3 diffuse;
uniform float opacity;
uniform sampler2D matcap;
varying vec3 vViewPosition;
#include <common>
#include <dithering_pars_fragment>
#include <color_pars_fragment>
#include <uv_pars_fragment>
#include <map_pars_fragment>
#include <alphamap_pars_fragment>
#include <alphatest_pars_fragment>
#include <alphahash_pars_fragment>
#include <fog_pars_fragment>
#include <normal_pars_fragment>
#include <bumpmap_pars_fragment>
#include <normalmap_pars_fragment>
#include <logdepthbuf_pars_fragment>
#include <clipping_planes_pars_fragment>
void main() {
	vec4 diffuseColor = vec4( diffuse, opacity );
	#include <clipping_planes_fragment>
	#include <logdepthbuf_fragment>
	#include <map_fragment>
	#include <color_fragment>
	#include <alphamap_fragment>
	#include <alphatest_fragment>
	#include <alphahash_fragment>
	#include <normal_fragment_begin>
	#include <normal_fragment_maps>
	vec3 viewDir = normalize( vViewPosition );
	vec3 x = normalize( vec3( viewDir.z, 0.0, - viewDir.x ) );
	vec3 y = cross( viewDir, x );
	vec2 uv = vec2( dot( x, normal ), dot( y, normal ) ) * 0.495 + 0.5;
	#ifdef USE_MATCAP
		vec4 matcapColor = texture2D( matcap, uv );
	#else
		vec4 matcapColor = vec4( vec3( mix( 0.2, 0.8, uv.y ) ), 1.0 );
	#endif
	vec3 outgoingLight = diffuseColor.rgb * matcapColor.rgb;
	#include <opaque_fragment>
	#include <tonemapping_fragment>
	#include <colorspace_fragment>
	#include <fog_fragment>
	#include <premultiplied_alpha_fragment>
	#include <dithering_fragment>
}`,Ub=`#define NORMAL
#if defined( FLAT_SHADED ) || defined( USE_BUMPMAP ) || defined( USE_NORMALMAP_TANGENTSPACE )
	varying vec3 vViewPosition;
#endif
#include <common>
#include <batching_pars_vertex>
#include <uv_pars_vertex>
#include <displacementmap_pars_vertex>
#include <normal_pars_vertex>
#include <morphtarget_pars_vertex>
#include <skinning_pars_vertex>
#include <logdepthbuf_pars_vertex>
#include <clipping_planes_pars_vertex>
void main() {
	#include <uv_vertex>
	#include <batching_vertex>
	#include <beginnormal_vertex>
	#include <morphinstance_vertex>
	#include <morphnormal_vertex>
	#include <skinbase_vertex>
	#include <skinnormal_vertex>
	#include <defaultnormal_vertex>
	#include <normal_vertex>
	#include <begin_vertex>
	#include <morphtarget_vertex>
	#include <skinning_vertex>
	#include <displacementmap_vertex>
	#include <project_vertex>
	#include <logdepthbuf_vertex>
	#include <clipping_planes_vertex>
#if defined( FLAT_SHADED ) || defined( USE_BUMPMAP ) || defined( USE_NORMALMAP_TANGENTSPACE )
	vViewPosition = - mvPosition.xyz;
#endif
}`,Ob=`#define NORMAL
uniform float opacity;
#if defined( FLAT_SHADED ) || defined( USE_BUMPMAP ) || defined( USE_NORMALMAP_TANGENTSPACE )
	varying vec3 vViewPosition;
#endif
#include <uv_pars_fragment>
#include <normal_pars_fragment>
#include <bumpmap_pars_fragment>
#include <normalmap_pars_fragment>
#include <logdepthbuf_pars_fragment>
#include <clipping_planes_pars_fragment>
void main() {
	vec4 diffuseColor = vec4( 0.0, 0.0, 0.0, opacity );
	#include <clipping_planes_fragment>
	#include <logdepthbuf_fragment>
	#include <normal_fragment_begin>
	#include <normal_fragment_maps>
	gl_FragColor = vec4( normalize( normal ) * 0.5 + 0.5, diffuseColor.a );
	#ifdef OPAQUE
		gl_FragColor.a = 1.0;
	#endif
}`,Bb=`#define PHONG
varying vec3 vViewPosition;
#include <common>
#include <batching_pars_vertex>
#include <uv_pars_vertex>
#include <displacementmap_pars_vertex>
#include <envmap_pars_vertex>
#include <color_pars_vertex>
#include <fog_pars_vertex>
#include <normal_pars_vertex>
#include <morphtarget_pars_vertex>
#include <skinning_pars_vertex>
#include <shadowmap_pars_vertex>
#include <logdepthbuf_pars_vertex>
#include <clipping_planes_pars_vertex>
void main() {
	#include <uv_vertex>
	#include <color_vertex>
	#include <morphcolor_vertex>
	#include <batching_vertex>
	#include <beginnormal_vertex>
	#include <morphinstance_vertex>
	#include <morphnormal_vertex>
	#include <skinbase_vertex>
	#include <skinnormal_vertex>
	#include <defaultnormal_vertex>
	#include <normal_vertex>
	#include <begin_vertex>
	#include <morphtarget_vertex>
	#include <skinning_vertex>
	#include <displacementmap_vertex>
	#include <project_vertex>
	#include <logdepthbuf_vertex>
	#include <clipping_planes_vertex>
	vViewPosition = - mvPosition.xyz;
	#include <worldpos_vertex>
	#include <envmap_vertex>
	#include <shadowmap_vertex>
	#include <fog_vertex>
}`,kb=`#define PHONG
uniform vec3 diffuse;
uniform vec3 emissive;
uniform vec3 specular;
uniform float shininess;
uniform float opacity;
#include <common>
#include <dithering_pars_fragment>
#include <color_pars_fragment>
#include <uv_pars_fragment>
#include <map_pars_fragment>
#include <alphamap_pars_fragment>
#include <alphatest_pars_fragment>
#include <alphahash_pars_fragment>
#include <aomap_pars_fragment>
#include <lightmap_pars_fragment>
#include <emissivemap_pars_fragment>
#include <envmap_common_pars_fragment>
#include <envmap_pars_fragment>
#include <envmap_physical_pars_fragment>
#include <fog_pars_fragment>
#include <bsdfs>
#include <lights_pars_begin>
#include <normal_pars_fragment>
#include <lights_phong_pars_fragment>
#include <shadowmap_pars_fragment>
#include <bumpmap_pars_fragment>
#include <normalmap_pars_fragment>
#include <specularmap_pars_fragment>
#include <logdepthbuf_pars_fragment>
#include <clipping_planes_pars_fragment>
void main() {
	vec4 diffuseColor = vec4( diffuse, opacity );
	#include <clipping_planes_fragment>
	ReflectedLight reflectedLight = ReflectedLight( vec3( 0.0 ), vec3( 0.0 ), vec3( 0.0 ), vec3( 0.0 ) );
	vec3 totalEmissiveRadiance = emissive;
	#include <logdepthbuf_fragment>
	#include <map_fragment>
	#include <color_fragment>
	#include <alphamap_fragment>
	#include <alphatest_fragment>
	#include <alphahash_fragment>
	#include <specularmap_fragment>
	#include <normal_fragment_begin>
	#include <normal_fragment_maps>
	#include <emissivemap_fragment>
	#include <lights_phong_fragment>
	#include <lights_fragment_begin>
	#include <lights_fragment_maps>
	#include <lights_fragment_end>
	#include <aomap_fragment>
	vec3 outgoingLight = reflectedLight.directDiffuse + reflectedLight.indirectDiffuse + reflectedLight.directSpecular + reflectedLight.indirectSpecular + totalEmissiveRadiance;
	#include <envmap_fragment>
	#include <opaque_fragment>
	#include <tonemapping_fragment>
	#include <colorspace_fragment>
	#include <fog_fragment>
	#include <premultiplied_alpha_fragment>
	#include <dithering_fragment>
}`,zb=`#define STANDARD
varying vec3 vViewPosition;
#ifdef USE_TRANSMISSION
	varying vec3 vWorldPosition;
#endif
#include <common>
#include <batching_pars_vertex>
#include <uv_pars_vertex>
#include <displacementmap_pars_vertex>
#include <color_pars_vertex>
#include <fog_pars_vertex>
#include <normal_pars_vertex>
#include <morphtarget_pars_vertex>
#include <skinning_pars_vertex>
#include <shadowmap_pars_vertex>
#include <logdepthbuf_pars_vertex>
#include <clipping_planes_pars_vertex>
void main() {
	#include <uv_vertex>
	#include <color_vertex>
	#include <morphinstance_vertex>
	#include <morphcolor_vertex>
	#include <batching_vertex>
	#include <beginnormal_vertex>
	#include <morphnormal_vertex>
	#include <skinbase_vertex>
	#include <skinnormal_vertex>
	#include <defaultnormal_vertex>
	#include <normal_vertex>
	#include <begin_vertex>
	#include <morphtarget_vertex>
	#include <skinning_vertex>
	#include <displacementmap_vertex>
	#include <project_vertex>
	#include <logdepthbuf_vertex>
	#include <clipping_planes_vertex>
	vViewPosition = - mvPosition.xyz;
	#include <worldpos_vertex>
	#include <shadowmap_vertex>
	#include <fog_vertex>
#ifdef USE_TRANSMISSION
	vWorldPosition = worldPosition.xyz;
#endif
}`,Vb=`#define STANDARD
#ifdef PHYSICAL
	#define IOR
	#define USE_SPECULAR
#endif
uniform vec3 diffuse;
uniform vec3 emissive;
uniform float roughness;
uniform float metalness;
uniform float opacity;
#ifdef IOR
	uniform float ior;
#endif
#ifdef USE_SPECULAR
	uniform float specularIntensity;
	uniform vec3 specularColor;
	#ifdef USE_SPECULAR_COLORMAP
		uniform sampler2D specularColorMap;
	#endif
	#ifdef USE_SPECULAR_INTENSITYMAP
		uniform sampler2D specularIntensityMap;
	#endif
#endif
#ifdef USE_CLEARCOAT
	uniform float clearcoat;
	uniform float clearcoatRoughness;
#endif
#ifdef USE_DIFFUSE_ROUGHNESS
	uniform float diffuseRoughness;
	#ifdef USE_DIFFUSE_ROUGHNESSMAP
		uniform sampler2D diffuseRoughnessMap;
	#endif
#endif
#ifdef USE_DISPERSION
	uniform float dispersion;
#endif
#ifdef USE_RETROREFLECTION
	uniform float retroreflectivity;
#endif
#ifdef USE_IRIDESCENCE
	uniform float iridescence;
	uniform float iridescenceIOR;
	uniform float iridescenceThicknessMinimum;
	uniform float iridescenceThicknessMaximum;
#endif
#ifdef USE_SHEEN
	uniform vec3 sheenColor;
	uniform float sheenRoughness;
	#ifdef USE_SHEEN_COLORMAP
		uniform sampler2D sheenColorMap;
	#endif
	#ifdef USE_SHEEN_ROUGHNESSMAP
		uniform sampler2D sheenRoughnessMap;
	#endif
#endif
#ifdef USE_ANISOTROPY
	uniform vec2 anisotropyVector;
	#ifdef USE_ANISOTROPYMAP
		uniform sampler2D anisotropyMap;
	#endif
#endif
varying vec3 vViewPosition;
#include <common>
#include <dithering_pars_fragment>
#include <color_pars_fragment>
#include <uv_pars_fragment>
#include <map_pars_fragment>
#include <alphamap_pars_fragment>
#include <alphatest_pars_fragment>
#include <alphahash_pars_fragment>
#include <aomap_pars_fragment>
#include <lightmap_pars_fragment>
#include <emissivemap_pars_fragment>
#include <iridescence_fragment>
#include <envmap_common_pars_fragment>
#include <envmap_physical_pars_fragment>
#include <fog_pars_fragment>
#include <lights_pars_begin>
#include <normal_pars_fragment>
#include <lights_physical_pars_fragment>
#include <transmission_pars_fragment>
#include <shadowmap_pars_fragment>
#include <bumpmap_pars_fragment>
#include <normalmap_pars_fragment>
#include <clearcoat_pars_fragment>
#include <iridescence_pars_fragment>
#include <roughnessmap_pars_fragment>
#include <metalnessmap_pars_fragment>
#include <logdepthbuf_pars_fragment>
#include <clipping_planes_pars_fragment>
void main() {
	vec4 diffuseColor = vec4( diffuse, opacity );
	#include <clipping_planes_fragment>
	ReflectedLight reflectedLight = ReflectedLight( vec3( 0.0 ), vec3( 0.0 ), vec3( 0.0 ), vec3( 0.0 ) );
	vec3 totalEmissiveRadiance = emissive;
	#include <logdepthbuf_fragment>
	#include <map_fragment>
	#include <color_fragment>
	#include <alphamap_fragment>
	#include <alphatest_fragment>
	#include <alphahash_fragment>
	#include <roughnessmap_fragment>
	#include <metalnessmap_fragment>
	#include <normal_fragment_begin>
	#include <normal_fragment_maps>
	#include <clearcoat_normal_fragment_begin>
	#include <clearcoat_normal_fragment_maps>
	#include <emissivemap_fragment>
	#include <lights_physical_fragment>
	#include <lights_fragment_begin>
	#include <lights_fragment_maps>
	#include <lights_fragment_end>
	#include <aomap_fragment>
	vec3 totalDiffuse = reflectedLight.directDiffuse + reflectedLight.indirectDiffuse;
	vec3 totalSpecular = reflectedLight.directSpecular + reflectedLight.indirectSpecular;
	#include <transmission_fragment>
	vec3 outgoingLight = totalDiffuse + totalSpecular + totalEmissiveRadiance;
	#ifdef USE_SHEEN
 
		outgoingLight = outgoingLight + sheenSpecularDirect + sheenSpecularIndirect;
 
 	#endif
	#ifdef USE_CLEARCOAT
		float dotNVcc = saturate( dot( geometryClearcoatNormal, geometryViewDir ) );
		vec3 Fcc = F_Schlick( material.clearcoatF0, material.clearcoatF90, dotNVcc );
		outgoingLight = outgoingLight * ( 1.0 - material.clearcoat * Fcc ) + ( clearcoatSpecularDirect + clearcoatSpecularIndirect ) * material.clearcoat;
	#endif
	#include <opaque_fragment>
	#include <tonemapping_fragment>
	#include <colorspace_fragment>
	#include <fog_fragment>
	#include <premultiplied_alpha_fragment>
	#include <dithering_fragment>
}`,Gb=`#define TOON
varying vec3 vViewPosition;
#include <common>
#include <batching_pars_vertex>
#include <uv_pars_vertex>
#include <displacementmap_pars_vertex>
#include <color_pars_vertex>
#include <fog_pars_vertex>
#include <normal_pars_vertex>
#include <morphtarget_pars_vertex>
#include <skinning_pars_vertex>
#include <shadowmap_pars_vertex>
#include <logdepthbuf_pars_vertex>
#include <clipping_planes_pars_vertex>
void main() {
	#include <uv_vertex>
	#include <color_vertex>
	#include <morphinstance_vertex>
	#include <morphcolor_vertex>
	#include <batching_vertex>
	#include <beginnormal_vertex>
	#include <morphnormal_vertex>
	#include <skinbase_vertex>
	#include <skinnormal_vertex>
	#include <defaultnormal_vertex>
	#include <normal_vertex>
	#include <begin_vertex>
	#include <morphtarget_vertex>
	#include <skinning_vertex>
	#include <displacementmap_vertex>
	#include <project_vertex>
	#include <logdepthbuf_vertex>
	#include <clipping_planes_vertex>
	vViewPosition = - mvPosition.xyz;
	#include <worldpos_vertex>
	#include <shadowmap_vertex>
	#include <fog_vertex>
}`,Hb=`#define TOON
uniform vec3 diffuse;
uniform vec3 emissive;
uniform float opacity;
#include <common>
#include <dithering_pars_fragment>
#include <color_pars_fragment>
#include <uv_pars_fragment>
#include <map_pars_fragment>
#include <alphamap_pars_fragment>
#include <alphatest_pars_fragment>
#include <alphahash_pars_fragment>
#include <aomap_pars_fragment>
#include <lightmap_pars_fragment>
#include <emissivemap_pars_fragment>
#include <gradientmap_pars_fragment>
#include <fog_pars_fragment>
#include <bsdfs>
#include <lights_pars_begin>
#include <normal_pars_fragment>
#include <lights_toon_pars_fragment>
#include <shadowmap_pars_fragment>
#include <bumpmap_pars_fragment>
#include <normalmap_pars_fragment>
#include <logdepthbuf_pars_fragment>
#include <clipping_planes_pars_fragment>
void main() {
	vec4 diffuseColor = vec4( diffuse, opacity );
	#include <clipping_planes_fragment>
	ReflectedLight reflectedLight = ReflectedLight( vec3( 0.0 ), vec3( 0.0 ), vec3( 0.0 ), vec3( 0.0 ) );
	vec3 totalEmissiveRadiance = emissive;
	#include <logdepthbuf_fragment>
	#include <map_fragment>
	#include <color_fragment>
	#include <alphamap_fragment>
	#include <alphatest_fragment>
	#include <alphahash_fragment>
	#include <normal_fragment_begin>
	#include <normal_fragment_maps>
	#include <emissivemap_fragment>
	#include <lights_toon_fragment>
	#include <lights_fragment_begin>
	#include <lights_fragment_maps>
	#include <lights_fragment_end>
	#include <aomap_fragment>
	vec3 outgoingLight = reflectedLight.directDiffuse + reflectedLight.indirectDiffuse + totalEmissiveRadiance;
	#include <opaque_fragment>
	#include <tonemapping_fragment>
	#include <colorspace_fragment>
	#include <fog_fragment>
	#include <premultiplied_alpha_fragment>
	#include <dithering_fragment>
}`,Wb=`uniform float size;
uniform float scale;
#include <common>
#include <color_pars_vertex>
#include <fog_pars_vertex>
#include <morphtarget_pars_vertex>
#include <logdepthbuf_pars_vertex>
#include <clipping_planes_pars_vertex>
#ifdef USE_POINTS_UV
	varying vec2 vUv;
	uniform mat3 uvTransform;
#endif
void main() {
	#ifdef USE_POINTS_UV
		vUv = ( uvTransform * vec3( uv, 1 ) ).xy;
	#endif
	#include <color_vertex>
	#include <morphinstance_vertex>
	#include <morphcolor_vertex>
	#include <begin_vertex>
	#include <morphtarget_vertex>
	#include <project_vertex>
	gl_PointSize = size;
	#ifdef USE_SIZEATTENUATION
		bool isPerspective = isPerspectiveMatrix( projectionMatrix );
		if ( isPerspective ) gl_PointSize *= ( scale / - mvPosition.z );
	#endif
	#include <logdepthbuf_vertex>
	#include <clipping_planes_vertex>
	#include <worldpos_vertex>
	#include <fog_vertex>
}`,Xb=`uniform vec3 diffuse;
uniform float opacity;
#include <common>
#include <color_pars_fragment>
#include <map_particle_pars_fragment>
#include <alphatest_pars_fragment>
#include <alphahash_pars_fragment>
#include <fog_pars_fragment>
#include <logdepthbuf_pars_fragment>
#include <clipping_planes_pars_fragment>
void main() {
	vec4 diffuseColor = vec4( diffuse, opacity );
	#include <clipping_planes_fragment>
	vec3 outgoingLight = vec3( 0.0 );
	#include <logdepthbuf_fragment>
	#include <map_particle_fragment>
	#include <color_fragment>
	#include <alphatest_fragment>
	#include <alphahash_fragment>
	outgoingLight = diffuseColor.rgb;
	#include <opaque_fragment>
	#include <tonemapping_fragment>
	#include <colorspace_fragment>
	#include <fog_fragment>
	#include <premultiplied_alpha_fragment>
}`,qb=`#include <common>
#include <batching_pars_vertex>
#include <fog_pars_vertex>
#include <morphtarget_pars_vertex>
#include <skinning_pars_vertex>
#include <logdepthbuf_pars_vertex>
#include <shadowmap_pars_vertex>
void main() {
	#include <batching_vertex>
	#include <beginnormal_vertex>
	#include <morphinstance_vertex>
	#include <morphnormal_vertex>
	#include <skinbase_vertex>
	#include <skinnormal_vertex>
	#include <defaultnormal_vertex>
	#include <begin_vertex>
	#include <morphtarget_vertex>
	#include <skinning_vertex>
	#include <project_vertex>
	#include <logdepthbuf_vertex>
	#include <worldpos_vertex>
	#include <shadowmap_vertex>
	#include <fog_vertex>
}`,Yb=`uniform vec3 color;
uniform float opacity;
#include <common>
#include <fog_pars_fragment>
#include <bsdfs>
#include <lights_pars_begin>
#include <logdepthbuf_pars_fragment>
#include <shadowmap_pars_fragment>
#include <shadowmask_pars_fragment>
void main() {
	#include <logdepthbuf_fragment>
	gl_FragColor = vec4( color, opacity * ( 1.0 - getShadowMask() ) );
	#include <tonemapping_fragment>
	#include <colorspace_fragment>
	#include <fog_fragment>
	#include <premultiplied_alpha_fragment>
}`,$b=`uniform float rotation;
uniform vec2 center;
#include <common>
#include <uv_pars_vertex>
#include <fog_pars_vertex>
#include <logdepthbuf_pars_vertex>
#include <clipping_planes_pars_vertex>
void main() {
	#include <uv_vertex>
	vec4 mvPosition = modelViewMatrix[ 3 ];
	vec2 scale = vec2( length( modelMatrix[ 0 ].xyz ), length( modelMatrix[ 1 ].xyz ) );
	#ifndef USE_SIZEATTENUATION
		bool isPerspective = isPerspectiveMatrix( projectionMatrix );
		if ( isPerspective ) scale *= - mvPosition.z;
	#endif
	vec2 alignedPosition = ( position.xy - ( center - vec2( 0.5 ) ) ) * scale;
	vec2 rotatedPosition;
	rotatedPosition.x = cos( rotation ) * alignedPosition.x - sin( rotation ) * alignedPosition.y;
	rotatedPosition.y = sin( rotation ) * alignedPosition.x + cos( rotation ) * alignedPosition.y;
	mvPosition.xy += rotatedPosition;
	gl_Position = projectionMatrix * mvPosition;
	#include <logdepthbuf_vertex>
	#include <clipping_planes_vertex>
	#include <fog_vertex>
}`,Zb=`uniform vec3 diffuse;
uniform float opacity;
#include <common>
#include <uv_pars_fragment>
#include <map_pars_fragment>
#include <alphamap_pars_fragment>
#include <alphatest_pars_fragment>
#include <alphahash_pars_fragment>
#include <fog_pars_fragment>
#include <logdepthbuf_pars_fragment>
#include <clipping_planes_pars_fragment>
void main() {
	vec4 diffuseColor = vec4( diffuse, opacity );
	#include <clipping_planes_fragment>
	vec3 outgoingLight = vec3( 0.0 );
	#include <logdepthbuf_fragment>
	#include <map_fragment>
	#include <alphamap_fragment>
	#include <alphatest_fragment>
	#include <alphahash_fragment>
	outgoingLight = diffuseColor.rgb;
	#include <opaque_fragment>
	#include <tonemapping_fragment>
	#include <colorspace_fragment>
	#include <fog_fragment>
}`,ct={alphahash_fragment:_x,alphahash_pars_fragment:vx,alphamap_fragment:xx,alphamap_pars_fragment:yx,alphatest_fragment:bx,alphatest_pars_fragment:Sx,aomap_fragment:Mx,aomap_pars_fragment:wx,batching_pars_vertex:Tx,batching_vertex:Ex,begin_vertex:Ax,beginnormal_vertex:Cx,bsdfs:Rx,iridescence_fragment:Px,bumpmap_pars_fragment:Ix,clipping_planes_fragment:Lx,clipping_planes_pars_fragment:Nx,clipping_planes_pars_vertex:Dx,clipping_planes_vertex:Fx,color_fragment:Ux,color_pars_fragment:Ox,color_pars_vertex:Bx,color_vertex:kx,common:zx,defaultnormal_vertex:Vx,displacementmap_pars_vertex:Gx,displacementmap_vertex:Hx,emissivemap_fragment:Wx,emissivemap_pars_fragment:Xx,colorspace_fragment:qx,colorspace_pars_fragment:Yx,envmap_fragment:$x,envmap_common_pars_fragment:Zx,envmap_pars_fragment:Jx,envmap_pars_vertex:Kx,envmap_physical_pars_fragment:ly,envmap_vertex:jx,fog_vertex:Qx,fog_pars_vertex:ey,fog_fragment:ty,fog_pars_fragment:ny,gradientmap_pars_fragment:iy,lightmap_pars_fragment:sy,lights_lambert_fragment:ry,lights_lambert_pars_fragment:ay,lights_pars_begin:oy,lights_toon_fragment:cy,lights_toon_pars_fragment:hy,lights_phong_fragment:uy,lights_phong_pars_fragment:dy,lights_physical_fragment:fy,lights_physical_pars_fragment:py,lights_fragment_begin:my,lights_fragment_maps:gy,lights_fragment_end:_y,lightprobes_pars_fragment:vy,logdepthbuf_fragment:xy,logdepthbuf_pars_fragment:yy,logdepthbuf_pars_vertex:by,logdepthbuf_vertex:Sy,map_fragment:My,map_pars_fragment:wy,map_particle_fragment:Ty,map_particle_pars_fragment:Ey,metalnessmap_fragment:Ay,metalnessmap_pars_fragment:Cy,morphinstance_vertex:Ry,morphcolor_vertex:Py,morphnormal_vertex:Iy,morphtarget_pars_vertex:Ly,morphtarget_vertex:Ny,normal_fragment_begin:Dy,normal_fragment_maps:Fy,normal_pars_fragment:Uy,normal_pars_vertex:Oy,normal_vertex:By,normalmap_pars_fragment:ky,clearcoat_normal_fragment_begin:zy,clearcoat_normal_fragment_maps:Vy,clearcoat_pars_fragment:Gy,iridescence_pars_fragment:Hy,opaque_fragment:Wy,packing:Xy,premultiplied_alpha_fragment:qy,project_vertex:Yy,dithering_fragment:$y,dithering_pars_fragment:Zy,roughnessmap_fragment:Jy,roughnessmap_pars_fragment:Ky,shadowmap_pars_fragment:jy,shadowmap_pars_vertex:Qy,shadowmap_vertex:eb,shadowmask_pars_fragment:tb,skinbase_vertex:nb,skinning_pars_vertex:ib,skinning_vertex:sb,skinnormal_vertex:rb,specularmap_fragment:ab,specularmap_pars_fragment:ob,tonemapping_fragment:lb,tonemapping_pars_fragment:cb,transmission_fragment:hb,transmission_pars_fragment:ub,uv_pars_fragment:db,uv_pars_vertex:fb,uv_vertex:pb,worldpos_vertex:mb,background_vert:gb,background_frag:_b,backgroundCube_vert:vb,backgroundCube_frag:xb,cube_vert:yb,cube_frag:bb,depth_vert:Sb,depth_frag:Mb,distance_vert:wb,distance_frag:Tb,equirect_vert:Eb,equirect_frag:Ab,linedashed_vert:Cb,linedashed_frag:Rb,meshbasic_vert:Pb,meshbasic_frag:Ib,meshlambert_vert:Lb,meshlambert_frag:Nb,meshmatcap_vert:Db,meshmatcap_frag:Fb,meshnormal_vert:Ub,meshnormal_frag:Ob,meshphong_vert:Bb,meshphong_frag:kb,meshphysical_vert:zb,meshphysical_frag:Vb,meshtoon_vert:Gb,meshtoon_frag:Hb,points_vert:Wb,points_frag:Xb,shadow_vert:qb,shadow_frag:Yb,sprite_vert:$b,sprite_frag:Zb},Le={common:{diffuse:{value:new st(16777215)},opacity:{value:1},map:{value:null},mapTransform:{value:new Qe},alphaMap:{value:null},alphaMapTransform:{value:new Qe},alphaTest:{value:0}},specularmap:{specularMap:{value:null},specularMapTransform:{value:new Qe}},envmap:{envMap:{value:null},envMapRotation:{value:new Qe},reflectivity:{value:1},ior:{value:1.5},refractionRatio:{value:.98},dfgLUT:{value:null}},aomap:{aoMap:{value:null},aoMapIntensity:{value:1},aoMapTransform:{value:new Qe}},lightmap:{lightMap:{value:null},lightMapIntensity:{value:1},lightMapTransform:{value:new Qe}},bumpmap:{bumpMap:{value:null},bumpMapTransform:{value:new Qe},bumpScale:{value:1}},normalmap:{normalMap:{value:null},normalMapTransform:{value:new Qe},normalScale:{value:new pt(1,1)}},displacementmap:{displacementMap:{value:null},displacementMapTransform:{value:new Qe},displacementScale:{value:1},displacementBias:{value:0}},emissivemap:{emissiveMap:{value:null},emissiveMapTransform:{value:new Qe}},metalnessmap:{metalnessMap:{value:null},metalnessMapTransform:{value:new Qe}},roughnessmap:{roughnessMap:{value:null},roughnessMapTransform:{value:new Qe}},gradientmap:{gradientMap:{value:null}},fog:{fogDensity:{value:25e-5},fogNear:{value:1},fogFar:{value:2e3},fogColor:{value:new st(16777215)}},lights:{ambientLightColor:{value:[]},lightProbe:{value:[]},sunLights:{value:[],properties:{direction:{},color:{}}},sunLightShadows:{value:[],properties:{shadowIntensity:1,shadowBias:{},shadowNormalBias:{},shadowRadius:{},shadowMapSize:{}}},sunShadowMatrix:{value:[]},sunShadowCascade:{value:[]},directionalLights:{value:[],properties:{direction:{},color:{}}},directionalLightShadows:{value:[],properties:{shadowIntensity:1,shadowBias:{},shadowNormalBias:{},shadowRadius:{},shadowMapSize:{}}},directionalShadowMatrix:{value:[]},spotLights:{value:[],properties:{color:{},position:{},direction:{},distance:{},coneCos:{},penumbraCos:{},decay:{}}},spotLightShadows:{value:[],properties:{shadowIntensity:1,shadowBias:{},shadowNormalBias:{},shadowRadius:{},shadowMapSize:{}}},spotLightMap:{value:[]},spotLightMatrix:{value:[]},pointLights:{value:[],properties:{color:{},position:{},decay:{},distance:{}}},pointLightShadows:{value:[],properties:{shadowIntensity:1,shadowBias:{},shadowNormalBias:{},shadowRadius:{},shadowMapSize:{},shadowCameraNear:{},shadowCameraFar:{}}},pointShadowMatrix:{value:[]},hemisphereLights:{value:[],properties:{direction:{},skyColor:{},groundColor:{}}},rectAreaLights:{value:[],properties:{color:{},position:{},width:{},height:{}}},ltc_1:{value:null},ltc_2:{value:null},probesSH:{value:[]},probesMin:{value:[]},probesMax:{value:[]},probesResolution:{value:[]}},points:{diffuse:{value:new st(16777215)},opacity:{value:1},size:{value:1},scale:{value:1},map:{value:null},alphaMap:{value:null},alphaMapTransform:{value:new Qe},alphaTest:{value:0},uvTransform:{value:new Qe}},sprite:{diffuse:{value:new st(16777215)},opacity:{value:1},center:{value:new pt(.5,.5)},rotation:{value:0},map:{value:null},mapTransform:{value:new Qe},alphaMap:{value:null},alphaMapTransform:{value:new Qe},alphaTest:{value:0}}},es={basic:{uniforms:Un([Le.common,Le.specularmap,Le.envmap,Le.aomap,Le.lightmap,Le.fog]),vertexShader:ct.meshbasic_vert,fragmentShader:ct.meshbasic_frag},lambert:{uniforms:Un([Le.common,Le.specularmap,Le.envmap,Le.aomap,Le.lightmap,Le.emissivemap,Le.bumpmap,Le.normalmap,Le.displacementmap,Le.fog,Le.lights,{emissive:{value:new st(0)},envMapIntensity:{value:1}}]),vertexShader:ct.meshlambert_vert,fragmentShader:ct.meshlambert_frag},phong:{uniforms:Un([Le.common,Le.specularmap,Le.envmap,Le.aomap,Le.lightmap,Le.emissivemap,Le.bumpmap,Le.normalmap,Le.displacementmap,Le.fog,Le.lights,{emissive:{value:new st(0)},specular:{value:new st(1118481)},shininess:{value:30},envMapIntensity:{value:1}}]),vertexShader:ct.meshphong_vert,fragmentShader:ct.meshphong_frag},standard:{uniforms:Un([Le.common,Le.envmap,Le.aomap,Le.lightmap,Le.emissivemap,Le.bumpmap,Le.normalmap,Le.displacementmap,Le.roughnessmap,Le.metalnessmap,Le.fog,Le.lights,{emissive:{value:new st(0)},roughness:{value:1},metalness:{value:0},envMapIntensity:{value:1}}]),vertexShader:ct.meshphysical_vert,fragmentShader:ct.meshphysical_frag},toon:{uniforms:Un([Le.common,Le.aomap,Le.lightmap,Le.emissivemap,Le.bumpmap,Le.normalmap,Le.displacementmap,Le.gradientmap,Le.fog,Le.lights,{emissive:{value:new st(0)}}]),vertexShader:ct.meshtoon_vert,fragmentShader:ct.meshtoon_frag},matcap:{uniforms:Un([Le.common,Le.bumpmap,Le.normalmap,Le.displacementmap,Le.fog,{matcap:{value:null}}]),vertexShader:ct.meshmatcap_vert,fragmentShader:ct.meshmatcap_frag},points:{uniforms:Un([Le.points,Le.fog]),vertexShader:ct.points_vert,fragmentShader:ct.points_frag},dashed:{uniforms:Un([Le.common,Le.fog,{scale:{value:1},dashSize:{value:1},totalSize:{value:2}}]),vertexShader:ct.linedashed_vert,fragmentShader:ct.linedashed_frag},depth:{uniforms:Un([Le.common,Le.displacementmap]),vertexShader:ct.depth_vert,fragmentShader:ct.depth_frag},normal:{uniforms:Un([Le.common,Le.bumpmap,Le.normalmap,Le.displacementmap,{opacity:{value:1}}]),vertexShader:ct.meshnormal_vert,fragmentShader:ct.meshnormal_frag},sprite:{uniforms:Un([Le.sprite,Le.fog]),vertexShader:ct.sprite_vert,fragmentShader:ct.sprite_frag},background:{uniforms:{uvTransform:{value:new Qe},t2D:{value:null},backgroundIntensity:{value:1}},vertexShader:ct.background_vert,fragmentShader:ct.background_frag},backgroundCube:{uniforms:{envMap:{value:null},backgroundBlurriness:{value:0},backgroundIntensity:{value:1},backgroundRotation:{value:new Qe}},vertexShader:ct.backgroundCube_vert,fragmentShader:ct.backgroundCube_frag},cube:{uniforms:{tCube:{value:null},tFlip:{value:-1},opacity:{value:1}},vertexShader:ct.cube_vert,fragmentShader:ct.cube_frag},equirect:{uniforms:{tEquirect:{value:null}},vertexShader:ct.equirect_vert,fragmentShader:ct.equirect_frag},distance:{uniforms:Un([Le.common,Le.displacementmap,{referencePosition:{value:new Z},nearDistance:{value:1},farDistance:{value:1e3}}]),vertexShader:ct.distance_vert,fragmentShader:ct.distance_frag},shadow:{uniforms:Un([Le.lights,Le.fog,{color:{value:new st(0)},opacity:{value:1}}]),vertexShader:ct.shadow_vert,fragmentShader:ct.shadow_frag}};es.physical={uniforms:Un([es.standard.uniforms,{clearcoat:{value:0},clearcoatMap:{value:null},clearcoatMapTransform:{value:new Qe},clearcoatNormalMap:{value:null},clearcoatNormalMapTransform:{value:new Qe},clearcoatNormalScale:{value:new pt(1,1)},clearcoatRoughness:{value:0},clearcoatRoughnessMap:{value:null},clearcoatRoughnessMapTransform:{value:new Qe},diffuseRoughness:{value:0},diffuseRoughnessMap:{value:null},diffuseRoughnessMapTransform:{value:new Qe},dispersion:{value:0},retroreflectivity:{value:0},iridescence:{value:0},iridescenceMap:{value:null},iridescenceMapTransform:{value:new Qe},iridescenceIOR:{value:1.3},iridescenceThicknessMinimum:{value:100},iridescenceThicknessMaximum:{value:400},iridescenceThicknessMap:{value:null},iridescenceThicknessMapTransform:{value:new Qe},sheen:{value:0},sheenColor:{value:new st(0)},sheenColorMap:{value:null},sheenColorMapTransform:{value:new Qe},sheenRoughness:{value:1},sheenRoughnessMap:{value:null},sheenRoughnessMapTransform:{value:new Qe},transmission:{value:0},transmissionMap:{value:null},transmissionMapTransform:{value:new Qe},transmissionSamplerSize:{value:new pt},transmissionSamplerMap:{value:null},thickness:{value:0},thicknessMap:{value:null},thicknessMapTransform:{value:new Qe},attenuationDistance:{value:0},attenuationColor:{value:new st(0)},specularColor:{value:new st(1,1,1)},specularColorMap:{value:null},specularColorMapTransform:{value:new Qe},specularIntensity:{value:1},specularIntensityMap:{value:null},specularIntensityMapTransform:{value:new Qe},anisotropyVector:{value:new pt},anisotropyMap:{value:null},anisotropyMapTransform:{value:new Qe}}]),vertexShader:ct.meshphysical_vert,fragmentShader:ct.meshphysical_frag};var Qc={r:0,b:0,g:0},Jb=new St,Ig=new Qe;Ig.set(-1,0,0,0,1,0,0,0,1);function Kb(i,e,t,n,s,r){let a=new st(0),o=s===!0?0:1,l,c,u=null,d=0,h=null;function f(x){let A=x.isScene===!0?x.background:null;if(A&&A.isTexture){let S=x.backgroundBlurriness>0;A=e.get(A,S)}return A}function g(x){let A=!1,S=f(x);S===null?m(a,o):S&&S.isColor&&(m(S,1),A=!0);let R=i.xr.getEnvironmentBlendMode();R==="additive"?t.buffers.color.setClear(0,0,0,1,r):R==="alpha-blend"&&t.buffers.color.setClear(0,0,0,0,r),(i.autoClear||A)&&(t.buffers.depth.setTest(!0),t.buffers.depth.setMask(!0),t.buffers.color.setMask(!0),i.clear(i.autoClearColor,i.autoClearDepth,i.autoClearStencil))}function b(x,A){let S=f(A);S&&S.isCubeTexture?(c===void 0&&(c=new Kn(new oa(1,1,1),new jn({name:"BackgroundCubeMaterial",uniforms:fr(es.backgroundCube.uniforms),vertexShader:es.backgroundCube.vertexShader,fragmentShader:es.backgroundCube.fragmentShader,side:qn,depthTest:!1,depthWrite:!1,fog:!1,allowOverride:!1})),c.geometry.deleteAttribute("normal"),c.geometry.deleteAttribute("uv"),c.onBeforeRender=function(R,E,v){this.matrixWorld.copyPosition(v.matrixWorld)},Object.defineProperty(c.material,"envMap",{get:function(){return this.uniforms.envMap.value}}),n.update(c)),c.material.uniforms.envMap.value=S,c.material.uniforms.backgroundBlurriness.value=A.backgroundBlurriness,c.material.uniforms.backgroundIntensity.value=A.backgroundIntensity,c.material.uniforms.backgroundRotation.value.setFromMatrix4(Jb.makeRotationFromEuler(A.backgroundRotation)).transpose(),S.isRenderTargetTexture===!1&&c.material.uniforms.backgroundRotation.value.premultiply(Ig),c.material.toneMapped=vt.getTransfer(S.colorSpace)!==Ct,(u!==S||d!==S.version||h!==i.toneMapping)&&(c.material.needsUpdate=!0,u=S,d=S.version,h=i.toneMapping),c.layers.enableAll(),x.unshift(c,c.geometry,c.material,0,0,null)):S&&S.isTexture&&(l===void 0&&(l=new Kn(new lo(2,2),new jn({name:"BackgroundMaterial",uniforms:fr(es.background.uniforms),vertexShader:es.background.vertexShader,fragmentShader:es.background.fragmentShader,side:Ws,depthTest:!1,depthWrite:!1,fog:!1,allowOverride:!1})),l.geometry.deleteAttribute("normal"),Object.defineProperty(l.material,"map",{get:function(){return this.uniforms.t2D.value}}),n.update(l)),l.material.uniforms.t2D.value=S,l.material.uniforms.backgroundIntensity.value=A.backgroundIntensity,l.material.toneMapped=vt.getTransfer(S.colorSpace)!==Ct,S.matrixAutoUpdate===!0&&S.updateMatrix(),l.material.uniforms.uvTransform.value.copy(S.matrix),(u!==S||d!==S.version||h!==i.toneMapping)&&(l.material.needsUpdate=!0,u=S,d=S.version,h=i.toneMapping),l.layers.enableAll(),x.unshift(l,l.geometry,l.material,0,0,null))}function m(x,A){x.getRGB(Qc,vd(i)),t.buffers.color.setClear(Qc.r,Qc.g,Qc.b,A,r)}function p(){c!==void 0&&(c.geometry.dispose(),c.material.dispose(),c=void 0),l!==void 0&&(l.geometry.dispose(),l.material.dispose(),l=void 0)}return{getClearColor:function(){return a},setClearColor:function(x,A=1){a.set(x),o=A,m(a,o)},getClearAlpha:function(){return o},setClearAlpha:function(x){o=x,m(a,o)},render:g,addToRenderList:b,dispose:p}}function jb(i,e){let t=i.getParameter(i.MAX_VERTEX_ATTRIBS),n={},s=h(null),r=s,a=!1;function o(L,z,G,N,H){let Y=!1,W=d(L,N,G,z);r!==W&&(r=W,c(r.object)),Y=f(L,N,G,H),Y&&g(L,N,G,H),H!==null&&e.update(H,i.ELEMENT_ARRAY_BUFFER),(Y||a)&&(a=!1,S(L,z,G,N),H!==null&&i.bindBuffer(i.ELEMENT_ARRAY_BUFFER,e.get(H).buffer))}function l(){return i.createVertexArray()}function c(L){return i.bindVertexArray(L)}function u(L){return i.deleteVertexArray(L)}function d(L,z,G,N){let H=N.wireframe===!0,Y=n[z.id];Y===void 0&&(Y={},n[z.id]=Y);let W=L.isInstancedMesh===!0?L.id:0,ce=Y[W];ce===void 0&&(ce={},Y[W]=ce);let K=ce[G.id];K===void 0&&(K={},ce[G.id]=K);let Q=K[H];return Q===void 0&&(Q=h(l()),K[H]=Q),Q}function h(L){let z=[],G=[],N=[];for(let H=0;H<t;H++)z[H]=0,G[H]=0,N[H]=0;return{geometry:null,program:null,wireframe:!1,newAttributes:z,enabledAttributes:G,attributeDivisors:N,object:L,attributes:{},index:null}}function f(L,z,G,N){let H=r.attributes,Y=z.attributes,W=0,ce=G.getAttributes();for(let K in ce)if(ce[K].location>=0){let se=H[K],de=Y[K];if(de===void 0&&(K==="instanceMatrix"&&L.instanceMatrix&&(de=L.instanceMatrix),K==="instanceColor"&&L.instanceColor&&(de=L.instanceColor)),se===void 0||se.attribute!==de||de&&se.data!==de.data)return!0;W++}return r.attributesNum!==W||r.index!==N}function g(L,z,G,N){let H={},Y=z.attributes,W=0,ce=G.getAttributes();for(let K in ce)if(ce[K].location>=0){let se=Y[K];se===void 0&&(K==="instanceMatrix"&&L.instanceMatrix&&(se=L.instanceMatrix),K==="instanceColor"&&L.instanceColor&&(se=L.instanceColor));let de={};de.attribute=se,se&&se.data&&(de.data=se.data),H[K]=de,W++}r.attributes=H,r.attributesNum=W,r.index=N}function b(){let L=r.newAttributes;for(let z=0,G=L.length;z<G;z++)L[z]=0}function m(L){p(L,0)}function p(L,z){let G=r.newAttributes,N=r.enabledAttributes,H=r.attributeDivisors;G[L]=1,N[L]===0&&(i.enableVertexAttribArray(L),N[L]=1),H[L]!==z&&(i.vertexAttribDivisor(L,z),H[L]=z)}function x(){let L=r.newAttributes,z=r.enabledAttributes;for(let G=0,N=z.length;G<N;G++)z[G]!==L[G]&&(i.disableVertexAttribArray(G),z[G]=0)}function A(L,z,G,N,H,Y,W){W===!0?i.vertexAttribIPointer(L,z,G,H,Y):i.vertexAttribPointer(L,z,G,N,H,Y)}function S(L,z,G,N){b();let H=N.attributes,Y=G.getAttributes(),W=z.defaultAttributeValues;for(let ce in Y){let K=Y[ce];if(K.location>=0){let Q=H[ce];if(Q===void 0&&(ce==="instanceMatrix"&&L.instanceMatrix&&(Q=L.instanceMatrix),ce==="instanceColor"&&L.instanceColor&&(Q=L.instanceColor)),Q!==void 0){let se=Q.normalized,de=Q.itemSize,ue=e.get(Q);if(ue===void 0)continue;let ee=ue.buffer,me=ue.type,ve=ue.bytesPerElement,Ae=me===i.INT||me===i.UNSIGNED_INT||Q.gpuType===mc;if(Q.isInterleavedBufferAttribute){let Se=Q.data,He=Se.isInterleavedBuffer===!0?Se.stride:Se.itemSize,nt=Q.offset;if(Se.isInstancedInterleavedBuffer||Se.isInstancedBufferAttribute){for(let Ve=0;Ve<K.locationSize;Ve++)p(K.location+Ve,Se.meshPerAttribute);L.isInstancedMesh!==!0&&N._maxInstanceCount===void 0&&(N._maxInstanceCount=Se.meshPerAttribute*Se.count)}else for(let Ve=0;Ve<K.locationSize;Ve++)m(K.location+Ve);i.bindBuffer(i.ARRAY_BUFFER,ee);for(let Ve=0;Ve<K.locationSize;Ve++)A(K.location+Ve,de/K.locationSize,me,se,He*ve,(nt+de/K.locationSize*Ve)*ve,Ae)}else{if(Q.isInstancedBufferAttribute){for(let Se=0;Se<K.locationSize;Se++)p(K.location+Se,Q.meshPerAttribute);L.isInstancedMesh!==!0&&N._maxInstanceCount===void 0&&(N._maxInstanceCount=Q.meshPerAttribute*Q.count)}else for(let Se=0;Se<K.locationSize;Se++)m(K.location+Se);i.bindBuffer(i.ARRAY_BUFFER,ee);for(let Se=0;Se<K.locationSize;Se++)A(K.location+Se,de/K.locationSize,me,se,de*ve,de/K.locationSize*Se*ve,Ae)}}else if(W!==void 0){let se=W[ce];if(se!==void 0)switch(se.length){case 2:i.vertexAttrib2fv(K.location,se);break;case 3:i.vertexAttrib3fv(K.location,se);break;case 4:i.vertexAttrib4fv(K.location,se);break;default:i.vertexAttrib1fv(K.location,se)}}}}x()}function R(){B();for(let L in n){let z=n[L];for(let G in z){let N=z[G];for(let H in N){let Y=N[H];for(let W in Y)u(Y[W].object),delete Y[W];delete N[H]}}delete n[L]}}function E(L){if(n[L.id]===void 0)return;let z=n[L.id];for(let G in z){let N=z[G];for(let H in N){let Y=N[H];for(let W in Y)u(Y[W].object),delete Y[W];delete N[H]}}delete n[L.id]}function v(L){for(let z in n){let G=n[z];for(let N in G){let H=G[N];if(H[L.id]===void 0)continue;let Y=H[L.id];for(let W in Y)u(Y[W].object),delete Y[W];delete H[L.id]}}}function T(L){for(let z in n){let G=n[z],N=L.isInstancedMesh===!0?L.id:0,H=G[N];if(H!==void 0){for(let Y in H){let W=H[Y];for(let ce in W)u(W[ce].object),delete W[ce];delete H[Y]}delete G[N],Object.keys(G).length===0&&delete n[z]}}}function B(){F(),a=!0,r!==s&&(r=s,c(r.object))}function F(){s.geometry=null,s.program=null,s.wireframe=!1}return{setup:o,reset:B,resetDefaultState:F,dispose:R,releaseStatesOfGeometry:E,releaseStatesOfObject:T,releaseStatesOfProgram:v,initAttributes:b,enableAttribute:m,disableUnusedAttributes:x}}function Qb(i,e,t){let n;function s(l){n=l}function r(l,c){i.drawArrays(n,l,c),t.update(c,n,1)}function a(l,c,u){u!==0&&(i.drawArraysInstanced(n,l,c,u),t.update(c,n,u))}function o(l,c,u){if(u===0)return;e.get("WEBGL_multi_draw").multiDrawArraysWEBGL(n,l,0,c,0,u);let h=0;for(let f=0;f<u;f++)h+=c[f];t.update(h,n,1)}this.setMode=s,this.render=r,this.renderInstances=a,this.renderMultiDraw=o}function eS(i,e,t,n){let s;function r(){if(s!==void 0)return s;if(e.has("EXT_texture_filter_anisotropic")===!0){let v=e.get("EXT_texture_filter_anisotropic");s=i.getParameter(v.MAX_TEXTURE_MAX_ANISOTROPY_EXT)}else s=0;return s}function a(v){return!(v!==Bi&&n.convert(v)!==i.getParameter(i.IMPLEMENTATION_COLOR_READ_FORMAT))}function o(v){let T=v===Oi&&(e.has("EXT_color_buffer_half_float")||e.has("EXT_color_buffer_float"));return!(v!==Qn&&v!==wi&&!T&&n.convert(v)!==i.getParameter(i.IMPLEMENTATION_COLOR_READ_TYPE))}function l(v){if(v==="highp"){if(i.getShaderPrecisionFormat(i.VERTEX_SHADER,i.HIGH_FLOAT).precision>0&&i.getShaderPrecisionFormat(i.FRAGMENT_SHADER,i.HIGH_FLOAT).precision>0)return"highp";v="mediump"}return v==="mediump"&&i.getShaderPrecisionFormat(i.VERTEX_SHADER,i.MEDIUM_FLOAT).precision>0&&i.getShaderPrecisionFormat(i.FRAGMENT_SHADER,i.MEDIUM_FLOAT).precision>0?"mediump":"lowp"}let c=t.precision!==void 0?t.precision:"highp",u=l(c);u!==c&&($e("WebGLRenderer:",c,"not supported, using",u,"instead."),c=u);let d=t.reversedDepthBuffer===!0&&e.has("EXT_clip_control"),h=t.logarithmicDepthBuffer===!0&&d===!1;t.reversedDepthBuffer===!0&&d===!1&&$e("WebGLRenderer: Unable to use reversed depth buffer due to missing EXT_clip_control extension. Fallback to default depth buffer."),t.logarithmicDepthBuffer===!0&&d===!0&&$e("WebGLRenderer: Logarithmic depth buffer is ignored when reversed depth buffer is enabled.");let f=i.getParameter(i.MAX_TEXTURE_IMAGE_UNITS),g=i.getParameter(i.MAX_VERTEX_TEXTURE_IMAGE_UNITS),b=i.getParameter(i.MAX_TEXTURE_SIZE),m=i.getParameter(i.MAX_CUBE_MAP_TEXTURE_SIZE),p=i.getParameter(i.MAX_VERTEX_ATTRIBS),x=i.getParameter(i.MAX_VERTEX_UNIFORM_VECTORS),A=i.getParameter(i.MAX_VARYING_VECTORS),S=i.getParameter(i.MAX_FRAGMENT_UNIFORM_VECTORS),R=i.getParameter(i.MAX_SAMPLES),E=i.getParameter(i.SAMPLES);return{isWebGL2:!0,getMaxAnisotropy:r,getMaxPrecision:l,textureFormatReadable:a,textureTypeReadable:o,precision:c,logarithmicDepthBuffer:h,reversedDepthBuffer:d,maxTextures:f,maxVertexTextures:g,maxTextureSize:b,maxCubemapSize:m,maxAttributes:p,maxVertexUniforms:x,maxVaryings:A,maxFragmentUniforms:S,maxSamples:R,samples:E}}function tS(i){let e=this,t=null,n=0,s=!1,r=!1,a=new Fi,o=new Qe,l={value:null,needsUpdate:!1};this.uniform=l,this.numPlanes=0,this.numIntersection=0,this.init=function(d,h){let f=d.length!==0||h||n!==0||s;return s=h,n=d.length,f},this.beginShadows=function(){r=!0,u(null)},this.endShadows=function(){r=!1},this.setGlobalState=function(d,h){t=u(d,h,0)},this.setState=function(d,h,f){let g=d.clippingPlanes,b=d.clipIntersection,m=d.clipShadows,p=i.get(d);if(!s||g===null||g.length===0||r&&!m)r?u(null):c();else{let x=r?0:n,A=x*4,S=p.clippingState||null;l.value=S,S=u(g,h,A,f);for(let R=0;R!==A;++R)S[R]=t[R];p.clippingState=S,this.numIntersection=b?this.numPlanes:0,this.numPlanes+=x}};function c(){l.value!==t&&(l.value=t,l.needsUpdate=n>0),e.numPlanes=n,e.numIntersection=0}function u(d,h,f,g){let b=d!==null?d.length:0,m=null;if(b!==0){if(m=l.value,g!==!0||m===null){let p=f+b*4,x=h.matrixWorldInverse;o.getNormalMatrix(x),(m===null||m.length<p)&&(m=new Float32Array(p));for(let A=0,S=f;A!==b;++A,S+=4)a.copy(d[A]).applyMatrix4(x,o),a.normal.toArray(m,S),m[S+3]=a.constant}l.value=m,l.needsUpdate=!0}return e.numPlanes=b,e.numIntersection=0,m}}var Ao=class extends fi{constructor(e=1,t={}){super(e,e,t),this.isWebGLCubeRenderTarget=!0;let n={width:e,height:e,depth:1},s=[n,n,n,n,n,n];this.texture=new io(s),this._setTextureOptions(t),this.texture.isRenderTargetTexture=!0}fromEquirectangularTexture(e,t){this.texture.type=t.type,this.texture.colorSpace=t.colorSpace,this.texture.generateMipmaps=t.generateMipmaps,this.texture.minFilter=t.minFilter,this.texture.magFilter=t.magFilter;let n={uniforms:{tEquirect:{value:null}},vertexShader:`

				varying vec3 vWorldDirection;

				vec3 transformDirection( in vec3 dir, in mat4 matrix ) {

					return normalize( ( matrix * vec4( dir, 0.0 ) ).xyz );

				}

				void main() {

					vWorldDirection = transformDirection( position, modelMatrix );

					#include <begin_vertex>
					#include <project_vertex>

				}
			`,fragmentShader:`

				uniform sampler2D tEquirect;

				varying vec3 vWorldDirection;

				#include <common>

				void main() {

					vec3 direction = normalize( vWorldDirection );

					vec2 sampleUV = equirectUv( direction );

					gl_FragColor = texture2D( tEquirect, sampleUV );

				}
			`},s=new oa(5,5,5),r=new jn({name:"CubemapFromEquirect",uniforms:fr(n.uniforms),vertexShader:n.vertexShader,fragmentShader:n.fragmentShader,side:qn,blending:cr});r.uniforms.tEquirect.value=t;let a=new Kn(s,r),o=t.minFilter;return t.minFilter===bs&&(t.minFilter=Xn),new ca(1,10,this).update(e,a),t.minFilter=o,a.geometry.dispose(),a.material.dispose(),this}clear(e,t=!0,n=!0,s=!0){let r=e.getRenderTarget();for(let a=0;a<6;a++)e.setRenderTarget(this,a),e.clear(t,n,s);e.setRenderTarget(r)}},cg=256,nS=3,iS=20,Lg=256,Ng=16,sS=3,rS=new Z,aS=new st,th=class i{constructor(e){this._renderer=e,this._cubeSize=0,this._sourceTarget=null,this._cubeCamera=new ca(1,10,null),this._boxMesh=new Kn(new oa(5,5,5),null),this._cubemapMaterial=null,this._equirectMaterial=null,this._blurMaterial=null,this._ggxMaterial=null,this._integrationMaterial=null}fromScene(e,t=0,n=.1,s=100,r={}){let{size:a=256,position:o=rS}=r,l=this._renderer;this._setSize(a);let c=this._allocateTarget(),u=this._getSourceTarget(!0);t>0&&(u.texture.mipmapsAutoUpdate=!1);let d=l.autoClear,h=l.autoClearColor,f=l.autoClearDepth,g=l.autoClearStencil,b=e.background;l.autoClear=!0,l.autoClearColor=!0,l.autoClearDepth=!0,l.autoClearStencil=!0,b===null&&(e.background=l.getClearColor(aS));let m=new ca(n,s,u);return m.position.copy(o),m.update(l,e),l.autoClear=d,l.autoClearColor=h,l.autoClearDepth=f,l.autoClearStencil=g,e.background=b,t>0&&(u.texture.mipmapsAutoUpdate=!0,this._blur(c,t)),this._applyPMREM(c),c}fromEquirectangular(e,t=null){return this._fromTexture(e,t)}fromCubemap(e,t=null){return this._fromTexture(e,t)}compileCubemapShader(){this._cubemapMaterial===null&&(this._cubemapMaterial=dg(),this._compileMaterial(this._cubemapMaterial))}compileEquirectangularShader(){this._equirectMaterial===null&&(this._equirectMaterial=ug(),this._compileMaterial(this._equirectMaterial))}dispose(){this._sourceTarget!==null&&this._sourceTarget.dispose(),this._cubemapMaterial!==null&&this._cubemapMaterial.dispose(),this._equirectMaterial!==null&&this._equirectMaterial.dispose(),this._blurMaterial!==null&&this._blurMaterial.dispose(),this._ggxMaterial!==null&&this._ggxMaterial.dispose(),this._integrationMaterial!==null&&this._integrationMaterial.dispose(),this._boxMesh.geometry.dispose()}static lodToRoughness(e,t){return t>0?1-Math.sqrt(1-e/t):0}_setSize(e){this._cubeSize=Math.max(cg,sg(e))}_fromTexture(e,t){e.mapping===ur||e.mapping===da?this._setSize(e.image.length===0?cg:e.image[0].width||e.image[0].image.width):this._setSize(e.image.width/4);let n=t||this._allocateTarget();return this._textureToCubemap(e),this._applyPMREM(n),n}_allocateTarget(){let e=this._cubeSize,t=hg(e,!1,!1),n=Math.log2(e)-nS;for(let s=0;s<=n;s++)t.texture.mipmaps.push({width:e>>s,height:e>>s});return t.texture.name="PMREM",t.texture.isPMREMTexture=!0,t}_getSourceTarget(e=!1){let t=this._cubeSize,n=this._sourceTarget;return(n===null||n.width!==t||e&&n.depthBuffer===!1)&&(n!==null&&n.dispose(),this._sourceTarget=hg(t,!0,e)),this._sourceTarget}_compileMaterial(e){this._boxMesh.material=e,this._renderer.compile(this._boxMesh,this._cubeCamera.children[0])}_renderCube(e,t,n){let s=this._boxMesh,r=this._cubeCamera;s.material=n,r.renderTarget=e,r.activeMipmapLevel=t;let a=e.width>>t;e.viewport.set(0,0,a,a),r.update(this._renderer,s),e.viewport.set(0,0,e.width,e.height)}_textureToCubemap(e){let t;e.mapping===ur||e.mapping===da?(this._cubemapMaterial===null&&(this._cubemapMaterial=dg()),t=this._cubemapMaterial,t.uniforms.flipEnvMap.value=e.isRenderTargetTexture===!1?-1:1):(this._equirectMaterial===null&&(this._equirectMaterial=ug()),t=this._equirectMaterial),t.uniforms.envMap.value=e,this._renderCube(this._getSourceTarget(),0,t)}_applyPMREM(e){this._ggxMaterial===null&&(this._ggxMaterial=oS(),this._integrationMaterial=lS());let t=this._cubeSize,n=e.texture.mipmaps.length-1,s=this._ggxMaterial.uniforms;s.envMap.value=this._sourceTarget.texture;let r=this._integrationMaterial.uniforms;r.envMap.value=this._sourceTarget.texture,r.sourceLod.value=Math.log2(t/Ng);for(let a=0;a<=n;a++){let o=i.lodToRoughness(a,n);if(a>n-sS)r.roughness.value=o,this._renderCube(e,a,this._integrationMaterial);else{let l=o>0?Math.log2(t)+.5*Math.log2(6/(Lg*Math.pow(o,4)))+.5:0;s.roughness.value=o,s.lodBias.value=l,this._renderCube(e,a,this._ggxMaterial)}}}_blur(e,t){this._blurMaterial===null&&(this._blurMaterial=cS());let n=this._blurMaterial,s=n.uniforms,r=this._sourceTarget;s.sigma.value=Math.min(t,Math.PI)/Math.SQRT2,s.envMap.value=r.texture,this._renderCube(e,0,n),s.envMap.value=e.texture,this._renderCube(r,0,n)}};function hg(i,e,t){return new Ao(i,{minFilter:bs,generateMipmaps:e,type:Oi,colorSpace:qa,depthBuffer:t})}function Co(i,e,t){return new jn({name:i,uniforms:e,vertexShader:ct.cube_vert,fragmentShader:t,side:qn,blending:cr,depthTest:!1,depthWrite:!1})}function oS(){return Co("PMREMGGXConvolution",{envMap:{value:null},roughness:{value:0},lodBias:{value:0}},`

		#define GGX_SAMPLES ${Lg}u

		varying vec3 vWorldDirection;

		uniform samplerCube envMap;
		uniform float roughness;
		uniform float lodBias;

		#include <common>

		// Van der Corput radical inverse
		float radicalInverse_VdC( uint bits ) {

			bits = ( bits << 16u ) | ( bits >> 16u );
			bits = ( ( bits & 0x55555555u ) << 1u ) | ( ( bits & 0xAAAAAAAAu ) >> 1u );
			bits = ( ( bits & 0x33333333u ) << 2u ) | ( ( bits & 0xCCCCCCCCu ) >> 2u );
			bits = ( ( bits & 0x0F0F0F0Fu ) << 4u ) | ( ( bits & 0xF0F0F0F0u ) >> 4u );
			bits = ( ( bits & 0x00FF00FFu ) << 8u ) | ( ( bits & 0xFF00FF00u ) >> 8u );
			return float( bits ) * 2.3283064365386963e-10; // / 0x100000000

		}

		// Hammersley sequence
		vec2 hammersley( uint i, uint N ) {

			return vec2( float( i ) / float( N ), radicalInverse_VdC( i ) );

		}

		void main() {

			vec3 N = normalize( vWorldDirection );

			// For very low roughness, just sample the environment directly
			if ( roughness < 0.001 ) {

				gl_FragColor = vec4( textureLod( envMap, N, 0.0 ).rgb, 1.0 );
				return;

			}

			float alpha = roughness * roughness;
			float alpha2 = alpha * alpha;

			// Tangent space basis for VNDF sampling
			vec3 up = abs( N.z ) < 0.999 ? vec3( 0.0, 0.0, 1.0 ) : vec3( 1.0, 0.0, 0.0 );
			vec3 tangent = normalize( cross( up, N ) );
			vec3 bitangent = cross( N, tangent );

			vec3 prefilteredColor = vec3( 0.0 );
			float totalWeight = 0.0;

			for ( uint i = 0u; i < GGX_SAMPLES; i ++ ) {

				vec2 Xi = hammersley( i, GGX_SAMPLES );

				// With V = N, sample the reflected direction directly.
				float invQ = 1.0 / ( 1.0 - Xi.x + alpha2 * Xi.x );
				float NdotL = ( 1.0 - Xi.x - alpha2 * Xi.x ) * invQ;

				if ( NdotL > 0.0 ) {

					float phi = 2.0 * PI * Xi.y;
					float sinTheta = 2.0 * alpha * sqrt( Xi.x * ( 1.0 - Xi.x ) ) * invQ;
					vec3 L = N * NdotL + ( tangent * cos( phi ) + bitangent * sin( phi ) ) * sinTheta;

					// Match the source mip to the sample's solid angle. The terms
					// independent of the sample are precomputed in lodBias.
					float d = alpha2 * invQ;
					float lod = max( log2( d ) + lodBias, 0.0 );

					// Weight by NdotL for the split-sum approximation
					prefilteredColor += textureLod( envMap, L, lod ).rgb * NdotL;
					totalWeight += NdotL;

				}

			}

			gl_FragColor = vec4( prefilteredColor / totalWeight, 1.0 );

		}
	`)}function lS(){return Co("PMREMGGXIntegration",{envMap:{value:null},roughness:{value:0},sourceLod:{value:0},sourceSize:{value:Ng}},`

		varying vec3 vWorldDirection;

		uniform samplerCube envMap;
		uniform float roughness;
		uniform float sourceLod;
		uniform int sourceSize;

		void main() {

			vec3 N = normalize( vWorldDirection );

			float alpha = roughness * roughness;
			float alpha2 = alpha * alpha;

			float texelSize = 2.0 / float( sourceSize );

			vec3 prefilteredColor = vec3( 0.0 );
			float totalWeight = 0.0;

			// Pair opposite texels: only the one in N's hemisphere contributes.
			for ( int face = 0; face < 3; face ++ ) {

				for ( int y = 0; y < sourceSize; y ++ ) {

					for ( int x = 0; x < sourceSize; x ++ ) {

						vec2 uv = ( vec2( x, y ) + 0.5 ) * texelSize - 1.0;
						vec3 texelDirection = face == 0 ? vec3( 1.0, uv ) : ( face == 1 ? vec3( uv.x, 1.0, uv.y ) : vec3( uv, 1.0 ) );

						float invDistance = inversesqrt( 1.0 + dot( uv, uv ) );
						float NdotL = dot( N, texelDirection );
						texelDirection *= NdotL < 0.0 ? - 1.0 : 1.0;
						NdotL = abs( NdotL ) * invDistance;

						// With V = N, NdotH squared is ( 1 + NdotL ) / 2. Common factors
						// in the GGX distribution and texel solid angle cancel when normalized.
						float d = 1.0 + alpha2 + ( alpha2 - 1.0 ) * NdotL;
						float weight = NdotL * invDistance * invDistance * invDistance / ( d * d );

						prefilteredColor += textureLod( envMap, texelDirection, sourceLod ).rgb * weight;
						totalWeight += weight;

					}

				}

			}

			gl_FragColor = vec4( prefilteredColor / totalWeight, 1.0 );

		}
	`)}function cS(){return Co("PMREMSphericalGaussianBlur",{envMap:{value:null},sigma:{value:0}},`

		#define SAMPLES ${iS}
		#define GOLDEN_ANGLE 2.39996322973

		varying vec3 vWorldDirection;

		uniform samplerCube envMap;
		uniform float sigma;

		#include <common>

		void main() {

			vec3 outputDirection = normalize( vWorldDirection );

			vec3 up = abs( outputDirection.z ) < 0.999 ? vec3( 0.0, 0.0, 1.0 ) : vec3( 1.0, 0.0, 0.0 );
			vec3 tangent = normalize( cross( up, outputDirection ) );
			vec3 bitangent = cross( outputDirection, tangent );

			// Truncate the kernel at three standard deviations or at the antipode.
			float thetaMax = min( 3.0 * sigma, PI );
			float truncation = 1.0 - exp( - 0.5 * thetaMax * thetaMax / ( sigma * sigma ) );

			vec3 accumColor = vec3( 0.0 );
			float accumWeight = 0.0;

			for ( int i = 0; i < SAMPLES; i ++ ) {

				// Stratified inverse-CDF sampling of the Gaussian, placed on a golden-angle spiral.
				float stratum = ( float( i ) + 0.5 ) / float( SAMPLES );
				float theta = sigma * sqrt( - 2.0 * log( 1.0 - stratum * truncation ) );
				float phi = float( i ) * GOLDEN_ANGLE;

				vec3 offset = cos( phi ) * tangent + sin( phi ) * bitangent;
				vec3 sampleDirection = cos( theta ) * outputDirection + sin( theta ) * offset;

				// Correct the planar sample density to solid angle.
				float weight = sin( theta ) / theta;

				accumColor += weight * textureLod( envMap, sampleDirection, 0.0 ).rgb;
				accumWeight += weight;

			}

			gl_FragColor = vec4( accumColor / accumWeight, 1.0 );

		}
	`)}function ug(){return Co("PMREMEquirectangularToCubemap",{envMap:{value:null}},`

		varying vec3 vWorldDirection;

		uniform sampler2D envMap;

		#include <common>

		void main() {

			// Average four subpixel samples to preserve small, bright features.
			vec3 direction = normalize( vWorldDirection );
			vec3 dx = dFdx( direction ) * 0.25;
			vec3 dy = dFdy( direction ) * 0.25;

			vec3 color = textureLod( envMap, equirectUv( normalize( direction - dx - dy ) ), 0.0 ).rgb;
			color += textureLod( envMap, equirectUv( normalize( direction + dx - dy ) ), 0.0 ).rgb;
			color += textureLod( envMap, equirectUv( normalize( direction - dx + dy ) ), 0.0 ).rgb;
			color += textureLod( envMap, equirectUv( normalize( direction + dx + dy ) ), 0.0 ).rgb;
			gl_FragColor = vec4( color * 0.25, 1.0 );

		}
	`)}function dg(){return Co("PMREMCubemapToCubemap",{envMap:{value:null},flipEnvMap:{value:-1}},`

		varying vec3 vWorldDirection;

		uniform samplerCube envMap;
		uniform float flipEnvMap;

		void main() {

			gl_FragColor = vec4( textureCube( envMap, vec3( flipEnvMap * vWorldDirection.x, vWorldDirection.yz ) ).rgb, 1.0 );

		}
	`)}function hS(i){let e=new WeakMap,t=new WeakMap,n=null;function s(h,f=!1){return h==null?null:f?a(h):r(h)}function r(h){if(h&&h.isTexture){let f=h.mapping;if(f===dc||f===fc)if(e.has(h)){let g=e.get(h).texture;return o(g,h.mapping)}else{let g=h.image;if(g&&g.height>0){let b=new Ao(g.height);return b.fromEquirectangularTexture(i,h),e.set(h,b),h.addEventListener("dispose",c),o(b.texture,h.mapping)}else return null}}return h}function a(h){if(h&&h.isTexture&&h.isPMREMTexture!==!0){let f=h.mapping,g=f===dc||f===fc,b=f===ur||f===da;if(g||b){let m=t.get(h),p=m!==void 0?m.texture.pmremVersion:0;if(h.isRenderTargetTexture&&h.pmremVersion!==p)return n===null&&(n=new th(i)),m=g?n.fromEquirectangular(h,m):n.fromCubemap(h,m),m.texture.pmremVersion=h.pmremVersion,t.set(h,m),m.texture;if(m!==void 0)return m.texture;{let x=h.image;return g&&x&&x.height>0||b&&x&&l(x)?(n===null&&(n=new th(i)),m=g?n.fromEquirectangular(h):n.fromCubemap(h),m.texture.pmremVersion=h.pmremVersion,t.set(h,m),h.addEventListener("dispose",u),m.texture):null}}}return h}function o(h,f){return f===dc?h.mapping=ur:f===fc&&(h.mapping=da),h}function l(h){let f=0,g=6;for(let b=0;b<g;b++)h[b]!==void 0&&f++;return f===g}function c(h){let f=h.target;f.removeEventListener("dispose",c);let g=e.get(f);g!==void 0&&(e.delete(f),g.dispose())}function u(h){let f=h.target;f.removeEventListener("dispose",u);let g=t.get(f);g!==void 0&&(t.delete(f),g.dispose())}function d(){e=new WeakMap,t=new WeakMap,n!==null&&(n.dispose(),n=null)}return{get:s,dispose:d}}function uS(i){let e={};function t(n){if(e[n]!==void 0)return e[n];let s=i.getExtension(n);return e[n]=s,s}return{has:function(n){return t(n)!==null},init:function(){t("EXT_color_buffer_float"),t("WEBGL_clip_cull_distance"),t("OES_texture_float_linear"),t("EXT_color_buffer_half_float"),t("WEBGL_multisampled_render_to_texture"),t("WEBGL_render_shared_exponent")},get:function(n){let s=t(n);return s===null&&Wa("WebGLRenderer: "+n+" extension not supported."),s}}}function dS(i,e,t,n){let s={},r=new WeakMap,a=new FinalizationRegistry(g=>delete s[g]);function o(g){l(g.target)}function l(g){g.index!==null&&e.remove(g.index);for(let m in g.attributes)e.remove(g.attributes[m]);g.removeEventListener("dispose",o),delete s[g.id],a.unregister(g);let b=r.get(g);b&&(e.remove(b),r.delete(g)),n.releaseStatesOfGeometry(g),g.isInstancedBufferGeometry===!0&&delete g._maxInstanceCount,t.memory.geometries--}function c(g,b){return s[b.id]!==void 0||(b.addEventListener("dispose",o),s[b.id]=new WeakRef(b),a.register(b,b.id,b),t.memory.geometries++),b}function u(g){let b=g.attributes;for(let m in b)e.update(b[m],i.ARRAY_BUFFER)}function d(g){let b=g.index,m=g.attributes.position,p=0;if(m===void 0)return;let x=b!==null?b.array.length:m.array.length/3-1,A=m.count>=65535?ja:Ka,S=new A(Math.ceil(x/3)*6,1),R=S.array;if(b!==null){let v=b.array;p=b.version;for(let T=0,B=0;T<x;T+=3){let F=v[T+0],L=v[T+1],z=v[T+2];R[B++]=F,R[B++]=L,R[B++]=L,R[B++]=z,R[B++]=z,R[B++]=F}}else{p=m.version;for(let v=0,T=0;v<x;v+=3){let B=v+0,F=v+1,L=v+2;R[T++]=B,R[T++]=F,R[T++]=F,R[T++]=L,R[T++]=L,R[T++]=B}}S.version=p;let E=r.get(g);E&&e.remove(E),r.set(g,S)}function h(g){let b=r.get(g);if(b){let m=g.index;m!==null&&b.version<m.version&&d(g)}else d(g);return r.get(g)}function f(){for(let g in s){let b=s[g].deref();b!==void 0&&l(b)}}return{get:c,update:u,getWireframeAttribute:h,dispose:f}}function fS(i,e,t){let n;function s(d){n=d}let r,a;function o(d){r=d.type,a=d.bytesPerElement}function l(d,h){i.drawElements(n,h,r,d*a),t.update(h,n,1)}function c(d,h,f){f!==0&&(i.drawElementsInstanced(n,h,r,d*a,f),t.update(h,n,f))}function u(d,h,f){if(f===0)return;e.get("WEBGL_multi_draw").multiDrawElementsWEBGL(n,h,0,r,d,0,f);let b=0;for(let m=0;m<f;m++)b+=h[m];t.update(b,n,1)}this.setMode=s,this.setIndex=o,this.render=l,this.renderInstances=c,this.renderMultiDraw=u}function pS(i){let e={geometries:0,textures:0},t={frame:0,calls:0,triangles:0,points:0,lines:0};function n(r,a,o){switch(t.calls++,a){case i.TRIANGLES:t.triangles+=o*(r/3);break;case i.LINES:t.lines+=o*(r/2);break;case i.LINE_STRIP:t.lines+=o*(r-1);break;case i.LINE_LOOP:t.lines+=o*r;break;case i.POINTS:t.points+=o*r;break;default:je("WebGLInfo: Unknown draw mode:",a);break}}function s(){t.calls=0,t.triangles=0,t.points=0,t.lines=0}return{memory:e,render:t,programs:null,autoReset:!0,reset:s,update:n}}function mS(i,e,t){let n=new WeakMap,s=new $t;function r(a,o,l){let c=a.morphTargetInfluences,u=o.morphAttributes.position||o.morphAttributes.normal||o.morphAttributes.color,d=u!==void 0?u.length:0,h=n.get(o);if(h===void 0||h.count!==d){let B=function(){v.dispose(),n.delete(o),o.removeEventListener("dispose",B)};h!==void 0&&h.texture.dispose();let f=o.morphAttributes.position!==void 0,g=o.morphAttributes.normal!==void 0,b=o.morphAttributes.color!==void 0,m=o.morphAttributes.position||[],p=o.morphAttributes.normal||[],x=o.morphAttributes.color||[],A=0;f===!0&&(A=1),g===!0&&(A=2),b===!0&&(A=3);let S=o.attributes.position.count*A,R=1;S>e.maxTextureSize&&(R=Math.ceil(S/e.maxTextureSize),S=e.maxTextureSize);let E=new Float32Array(S*R*4*d),v=new Za(E,S,R,d);v.type=wi,v.needsUpdate=!0;let T=A*4;for(let F=0;F<d;F++){let L=m[F],z=p[F],G=x[F],N=S*R*4*F;for(let H=0;H<L.count;H++){let Y=H*T;f===!0&&(s.fromBufferAttribute(L,H),E[N+Y+0]=s.x,E[N+Y+1]=s.y,E[N+Y+2]=s.z,E[N+Y+3]=0),g===!0&&(s.fromBufferAttribute(z,H),E[N+Y+4]=s.x,E[N+Y+5]=s.y,E[N+Y+6]=s.z,E[N+Y+7]=0),b===!0&&(s.fromBufferAttribute(G,H),E[N+Y+8]=s.x,E[N+Y+9]=s.y,E[N+Y+10]=s.z,E[N+Y+11]=G.itemSize===4?s.w:1)}}h={count:d,texture:v,size:new pt(S,R)},n.set(o,h),o.addEventListener("dispose",B)}if(a.isInstancedMesh===!0&&a.morphTexture!==null)l.getUniforms().setValue(i,"morphTexture",a.morphTexture,t);else{let f=0;for(let b=0;b<c.length;b++)f+=c[b];let g=o.morphTargetsRelative?1:1-f;l.getUniforms().setValue(i,"morphTargetBaseInfluence",g),l.getUniforms().setValue(i,"morphTargetInfluences",c)}l.getUniforms().setValue(i,"morphTargetsTexture",h.texture,t),l.getUniforms().setValue(i,"morphTargetsTextureSize",h.size)}return{update:r}}function gS(i,e,t,n,s){let r=new WeakMap;function a(c){let u=s.render.frame,d=c.geometry,h=e.get(c,d);if(r.get(h)!==u&&(e.update(h),r.set(h,u)),c.isInstancedMesh&&(c.hasEventListener("dispose",l)===!1&&c.addEventListener("dispose",l),r.get(c)!==u&&(t.update(c.instanceMatrix,i.ARRAY_BUFFER),c.instanceColor!==null&&t.update(c.instanceColor,i.ARRAY_BUFFER),r.set(c,u))),c.isSkinnedMesh){let f=c.skeleton;r.get(f)!==u&&(f.update(),r.set(f,u))}return h}function o(){r=new WeakMap}function l(c){let u=c.target;u.removeEventListener("dispose",l),n.releaseStatesOfObject(u),t.remove(u.instanceMatrix),u.instanceColor!==null&&t.remove(u.instanceColor)}return{update:a,dispose:o}}var _S={[Ju]:"LINEAR_TONE_MAPPING",[Ku]:"REINHARD_TONE_MAPPING",[ju]:"CINEON_TONE_MAPPING",[Qu]:"ACES_FILMIC_TONE_MAPPING",[td]:"AGX_TONE_MAPPING",[nd]:"NEUTRAL_TONE_MAPPING",[ed]:"CUSTOM_TONE_MAPPING"};function vS(i,e,t,n,s,r){let a=new fi(e,t,{type:i,depthBuffer:s,stencilBuffer:r,samples:n?4:0,storeMultisampledDepthBuffer:!1,storeMultisampledStencilBuffer:!1,resolveDepthBuffer:!1,resolveStencilBuffer:!1}),o=null,l=null,c=null,u=new Jn;u.setAttribute("position",new rn([-1,3,0,-1,-1,0,3,-1,0],3)),u.setAttribute("uv",new rn([0,2,0,0,2,0],2));let d=new Jl({uniforms:{tDiffuse:{value:null}},vertexShader:`
			precision highp float;

			uniform mat4 modelViewMatrix;
			uniform mat4 projectionMatrix;

			attribute vec3 position;
			attribute vec2 uv;

			varying vec2 vUv;

			void main() {
				vUv = uv;
				gl_Position = projectionMatrix * modelViewMatrix * vec4( position, 1.0 );
			}`,fragmentShader:`
			precision highp float;

			uniform sampler2D tDiffuse;

			varying vec2 vUv;

			#include <tonemapping_pars_fragment>
			#include <colorspace_pars_fragment>

			void main() {
				gl_FragColor = texture2D( tDiffuse, vUv );

				#ifdef LINEAR_TONE_MAPPING
					gl_FragColor.rgb = LinearToneMapping( gl_FragColor.rgb );
				#elif defined( REINHARD_TONE_MAPPING )
					gl_FragColor.rgb = ReinhardToneMapping( gl_FragColor.rgb );
				#elif defined( CINEON_TONE_MAPPING )
					gl_FragColor.rgb = CineonToneMapping( gl_FragColor.rgb );
				#elif defined( ACES_FILMIC_TONE_MAPPING )
					gl_FragColor.rgb = ACESFilmicToneMapping( gl_FragColor.rgb );
				#elif defined( AGX_TONE_MAPPING )
					gl_FragColor.rgb = AgXToneMapping( gl_FragColor.rgb );
				#elif defined( NEUTRAL_TONE_MAPPING )
					gl_FragColor.rgb = NeutralToneMapping( gl_FragColor.rgb );
				#elif defined( CUSTOM_TONE_MAPPING )
					gl_FragColor.rgb = CustomToneMapping( gl_FragColor.rgb );
				#endif

				#ifdef SRGB_TRANSFER
					gl_FragColor = sRGBTransferOETF( gl_FragColor );
				#endif
			}`,depthTest:!1,depthWrite:!1}),h=new Kn(u,d),f=new lr(-1,1,1,-1,0,1),g=null,b=null,m=!1,p,x=null,A=[],S=!1;this.setSize=function(R,E){a.setSize(R,E),o!==null&&o.setSize(R,E),l!==null&&l.setSize(R,E);for(let v=0;v<A.length;v++){let T=A[v];T.setSize&&T.setSize(R,E)}},this.setEffects=function(R){A=R,S=A.length>0&&A[0].isRenderPass===!0;let E=a.width,v=a.height;A.length>0&&o===null&&(o=new fi(E,v,{type:Oi,depthBuffer:!1,stencilBuffer:!1}),l=new fi(E,v,{type:Oi,depthBuffer:!1,stencilBuffer:!1}));let T=s===!0&&A.some(B=>B.needsDepthTexture===!0);T!==(a.depthTexture!==null)&&(T===!0&&c===null&&(c=new ys(E,v),r===!0&&(c.format=Ss,c.type=dr)),a.dispose(),a.depthTexture=T?c:null,a.resolveDepthBuffer=T,a.storeMultisampledDepthBuffer=T);for(let B=0;B<A.length;B++){let F=A[B];F.setSize&&F.setSize(E,v),T&&F.needsDepthTexture===!0&&F.setDepthTexture&&F.setDepthTexture(c)}},this.begin=function(R,E){if(m||R.toneMapping===ji&&A.length===0)return!1;if(x=E,E!==null){let v=E.width,T=E.height;(a.width!==v||a.height!==T)&&this.setSize(v,T)}return S===!1&&R.setRenderTarget(a),p=R.toneMapping,R.toneMapping=ji,!0},this.hasRenderPass=function(){return S},this.end=function(R,E){R.toneMapping=p,m=!0;let v=a,T=o;for(let B=0;B<A.length;B++){let F=A[B];F.enabled!==!1&&(F.render(R,T,v,E),F.needsSwap!==!1&&(v=T,T=T===o?l:o))}if(g!==R.outputColorSpace||b!==R.toneMapping){g=R.outputColorSpace,b=R.toneMapping,d.defines={},vt.getTransfer(g)===Ct&&(d.defines.SRGB_TRANSFER="");let B=_S[b];B&&(d.defines[B]=""),d.needsUpdate=!0}d.uniforms.tDiffuse.value=v.texture,R.setRenderTarget(x),R.render(h,f),x=null,m=!1},this.isCompositing=function(){return m},this.dispose=function(){a.dispose(),o!==null&&o.dispose(),l!==null&&l.dispose(),u.dispose(),d.dispose()}}var Dg=new Zn,Fg=new ys(1,1),Ug=new so(1),Og=new Za,Bg=new Yl,kg=new io,fg=[],pg=[],mg=new Float32Array(16),gg=new Float32Array(9),_g=new Float32Array(4);function ga(i,e,t){let n=i[0];if(n<=0||n>0)return i;let s=e*t,r=fg[s];if(r===void 0&&(r=new Float32Array(s),fg[s]=r),e!==0){n.toArray(r,0);for(let a=1,o=0;a!==e;++a)o+=t,i[a].toArray(r,o)}return r}function vn(i,e){if(i.length!==e.length)return!1;for(let t=0,n=i.length;t<n;t++)if(i[t]!==e[t])return!1;return!0}function xn(i,e){for(let t=0,n=e.length;t<n;t++)i[t]=e[t]}function nh(i,e){let t=pg[e];t===void 0&&(t=new Int32Array(e),pg[e]=t);for(let n=0;n!==e;++n)t[n]=i.allocateTextureUnit();return t}function xS(i,e){let t=this.cache;t[0]!==e&&(i.uniform1f(this.addr,e),t[0]=e)}function yS(i,e){let t=this.cache;if(e.x!==void 0)(t[0]!==e.x||t[1]!==e.y)&&(i.uniform2f(this.addr,e.x,e.y),t[0]=e.x,t[1]=e.y);else{if(vn(t,e))return;i.uniform2fv(this.addr,e),xn(t,e)}}function bS(i,e){let t=this.cache;if(e.x!==void 0)(t[0]!==e.x||t[1]!==e.y||t[2]!==e.z)&&(i.uniform3f(this.addr,e.x,e.y,e.z),t[0]=e.x,t[1]=e.y,t[2]=e.z);else if(e.r!==void 0)(t[0]!==e.r||t[1]!==e.g||t[2]!==e.b)&&(i.uniform3f(this.addr,e.r,e.g,e.b),t[0]=e.r,t[1]=e.g,t[2]=e.b);else{if(vn(t,e))return;i.uniform3fv(this.addr,e),xn(t,e)}}function SS(i,e){let t=this.cache;if(e.x!==void 0)(t[0]!==e.x||t[1]!==e.y||t[2]!==e.z||t[3]!==e.w)&&(i.uniform4f(this.addr,e.x,e.y,e.z,e.w),t[0]=e.x,t[1]=e.y,t[2]=e.z,t[3]=e.w);else{if(vn(t,e))return;i.uniform4fv(this.addr,e),xn(t,e)}}function MS(i,e){let t=this.cache,n=e.elements;if(n===void 0){if(vn(t,e))return;i.uniformMatrix2fv(this.addr,!1,e),xn(t,e)}else{if(vn(t,n))return;_g.set(n),i.uniformMatrix2fv(this.addr,!1,_g),xn(t,n)}}function wS(i,e){let t=this.cache,n=e.elements;if(n===void 0){if(vn(t,e))return;i.uniformMatrix3fv(this.addr,!1,e),xn(t,e)}else{if(vn(t,n))return;gg.set(n),i.uniformMatrix3fv(this.addr,!1,gg),xn(t,n)}}function TS(i,e){let t=this.cache,n=e.elements;if(n===void 0){if(vn(t,e))return;i.uniformMatrix4fv(this.addr,!1,e),xn(t,e)}else{if(vn(t,n))return;mg.set(n),i.uniformMatrix4fv(this.addr,!1,mg),xn(t,n)}}function ES(i,e){let t=this.cache;t[0]!==e&&(i.uniform1i(this.addr,e),t[0]=e)}function AS(i,e){let t=this.cache;if(e.x!==void 0)(t[0]!==e.x||t[1]!==e.y)&&(i.uniform2i(this.addr,e.x,e.y),t[0]=e.x,t[1]=e.y);else{if(vn(t,e))return;i.uniform2iv(this.addr,e),xn(t,e)}}function CS(i,e){let t=this.cache;if(e.x!==void 0)(t[0]!==e.x||t[1]!==e.y||t[2]!==e.z)&&(i.uniform3i(this.addr,e.x,e.y,e.z),t[0]=e.x,t[1]=e.y,t[2]=e.z);else{if(vn(t,e))return;i.uniform3iv(this.addr,e),xn(t,e)}}function RS(i,e){let t=this.cache;if(e.x!==void 0)(t[0]!==e.x||t[1]!==e.y||t[2]!==e.z||t[3]!==e.w)&&(i.uniform4i(this.addr,e.x,e.y,e.z,e.w),t[0]=e.x,t[1]=e.y,t[2]=e.z,t[3]=e.w);else{if(vn(t,e))return;i.uniform4iv(this.addr,e),xn(t,e)}}function PS(i,e){let t=this.cache;t[0]!==e&&(i.uniform1ui(this.addr,e),t[0]=e)}function IS(i,e){let t=this.cache;if(e.x!==void 0)(t[0]!==e.x||t[1]!==e.y)&&(i.uniform2ui(this.addr,e.x,e.y),t[0]=e.x,t[1]=e.y);else{if(vn(t,e))return;i.uniform2uiv(this.addr,e),xn(t,e)}}function LS(i,e){let t=this.cache;if(e.x!==void 0)(t[0]!==e.x||t[1]!==e.y||t[2]!==e.z)&&(i.uniform3ui(this.addr,e.x,e.y,e.z),t[0]=e.x,t[1]=e.y,t[2]=e.z);else{if(vn(t,e))return;i.uniform3uiv(this.addr,e),xn(t,e)}}function NS(i,e){let t=this.cache;if(e.x!==void 0)(t[0]!==e.x||t[1]!==e.y||t[2]!==e.z||t[3]!==e.w)&&(i.uniform4ui(this.addr,e.x,e.y,e.z,e.w),t[0]=e.x,t[1]=e.y,t[2]=e.z,t[3]=e.w);else{if(vn(t,e))return;i.uniform4uiv(this.addr,e),xn(t,e)}}function ih(i){return i.version===0&&(i.compareFunction=pd,i.needsUpdate=!0),i}function DS(i,e,t){let n=this.cache,s=t.allocateTextureUnit();n[0]!==s&&(i.uniform1i(this.addr,s),n[0]=s);let r;this.type===i.SAMPLER_2D_SHADOW?r=ih(Fg):r=Dg,t.setTexture2D(e||r,s)}function FS(i,e,t){let n=this.cache,s=t.allocateTextureUnit();n[0]!==s&&(i.uniform1i(this.addr,s),n[0]=s),t.setTexture3D(e||Bg,s)}function US(i,e,t){let n=this.cache,s=t.allocateTextureUnit();n[0]!==s&&(i.uniform1i(this.addr,s),n[0]=s);let r;this.type===i.SAMPLER_CUBE_SHADOW?r=ih(Ug):r=kg,t.setTextureCube(e||r,s)}function OS(i,e,t){let n=this.cache,s=t.allocateTextureUnit();n[0]!==s&&(i.uniform1i(this.addr,s),n[0]=s),t.setTexture2DArray(e||Og,s)}function BS(i){switch(i){case 5126:return xS;case 35664:return yS;case 35665:return bS;case 35666:return SS;case 35674:return MS;case 35675:return wS;case 35676:return TS;case 5124:case 35670:return ES;case 35667:case 35671:return AS;case 35668:case 35672:return CS;case 35669:case 35673:return RS;case 5125:return PS;case 36294:return IS;case 36295:return LS;case 36296:return NS;case 35678:case 36198:case 36298:case 36306:case 35682:return DS;case 35679:case 36299:case 36307:return FS;case 35680:case 36300:case 36308:case 36293:return US;case 36289:case 36303:case 36311:case 36292:return OS}}function kS(i,e){i.uniform1fv(this.addr,e)}function zS(i,e){let t=ga(e,this.size,2);i.uniform2fv(this.addr,t)}function VS(i,e){let t=ga(e,this.size,3);i.uniform3fv(this.addr,t)}function GS(i,e){let t=ga(e,this.size,4);i.uniform4fv(this.addr,t)}function HS(i,e){let t=ga(e,this.size,4);i.uniformMatrix2fv(this.addr,!1,t)}function WS(i,e){let t=ga(e,this.size,9);i.uniformMatrix3fv(this.addr,!1,t)}function XS(i,e){let t=ga(e,this.size,16);i.uniformMatrix4fv(this.addr,!1,t)}function qS(i,e){i.uniform1iv(this.addr,e)}function YS(i,e){i.uniform2iv(this.addr,e)}function $S(i,e){i.uniform3iv(this.addr,e)}function ZS(i,e){i.uniform4iv(this.addr,e)}function JS(i,e){i.uniform1uiv(this.addr,e)}function KS(i,e){i.uniform2uiv(this.addr,e)}function jS(i,e){i.uniform3uiv(this.addr,e)}function QS(i,e){i.uniform4uiv(this.addr,e)}function eM(i,e,t){let n=this.cache,s=e.length,r=nh(t,s);vn(n,r)||(i.uniform1iv(this.addr,r),xn(n,r));let a;this.type===i.SAMPLER_2D_SHADOW?a=ih(Fg):a=Dg;for(let o=0;o!==s;++o)t.setTexture2D(e[o]||a,r[o])}function tM(i,e,t){let n=this.cache,s=e.length,r=nh(t,s);vn(n,r)||(i.uniform1iv(this.addr,r),xn(n,r));for(let a=0;a!==s;++a)t.setTexture3D(e[a]||Bg,r[a])}function nM(i,e,t){let n=this.cache,s=e.length,r=nh(t,s);vn(n,r)||(i.uniform1iv(this.addr,r),xn(n,r));let a;this.type===i.SAMPLER_CUBE_SHADOW?a=ih(Ug):a=kg;for(let o=0;o!==s;++o)t.setTextureCube(e[o]||a,r[o])}function iM(i,e,t){let n=this.cache,s=e.length,r=nh(t,s);vn(n,r)||(i.uniform1iv(this.addr,r),xn(n,r));for(let a=0;a!==s;++a)t.setTexture2DArray(e[a]||Og,r[a])}function sM(i){switch(i){case 5126:return kS;case 35664:return zS;case 35665:return VS;case 35666:return GS;case 35674:return HS;case 35675:return WS;case 35676:return XS;case 5124:case 35670:return qS;case 35667:case 35671:return YS;case 35668:case 35672:return $S;case 35669:case 35673:return ZS;case 5125:return JS;case 36294:return KS;case 36295:return jS;case 36296:return QS;case 35678:case 36198:case 36298:case 36306:case 35682:return eM;case 35679:case 36299:case 36307:return tM;case 35680:case 36300:case 36308:case 36293:return nM;case 36289:case 36303:case 36311:case 36292:return iM}}var wd=class{constructor(e,t,n){this.id=e,this.addr=n,this.cache=[],this.type=t.type,this.setValue=BS(t.type)}},Td=class{constructor(e,t,n){this.id=e,this.addr=n,this.cache=[],this.type=t.type,this.size=t.size,this.setValue=sM(t.type)}},Ed=class{constructor(e){this.id=e,this.seq=[],this.map={}}setValue(e,t,n){let s=this.seq;for(let r=0,a=s.length;r!==a;++r){let o=s[r];o.setValue(e,t[o.id],n)}}},Sd=/(\w+)(\])?(\[|\.)?/g;function vg(i,e){i.seq.push(e),i.map[e.id]=e}function rM(i,e,t){let n=i.name,s=n.length;for(Sd.lastIndex=0;;){let r=Sd.exec(n),a=Sd.lastIndex,o=r[1],l=r[2]==="]",c=r[3];if(l&&(o=o|0),c===void 0||c==="["&&a+2===s){vg(t,c===void 0?new wd(o,i,e):new Td(o,i,e));break}else{let d=t.map[o];d===void 0&&(d=new Ed(o),vg(t,d)),t=d}}}var pa=class{constructor(e,t){this.seq=[],this.map={};let n=e.getProgramParameter(t,e.ACTIVE_UNIFORMS);for(let a=0;a<n;++a){let o=e.getActiveUniform(t,a),l=e.getUniformLocation(t,o.name);rM(o,l,this)}let s=[],r=[];for(let a of this.seq)a.type===e.SAMPLER_2D_SHADOW||a.type===e.SAMPLER_CUBE_SHADOW||a.type===e.SAMPLER_2D_ARRAY_SHADOW?s.push(a):r.push(a);s.length>0&&(this.seq=s.concat(r))}setValue(e,t,n,s){let r=this.map[t];r!==void 0&&r.setValue(e,n,s)}setOptional(e,t,n){let s=t[n];s!==void 0&&this.setValue(e,n,s)}static upload(e,t,n,s){for(let r=0,a=t.length;r!==a;++r){let o=t[r],l=n[o.id];l.needsUpdate!==!1&&o.setValue(e,l.value,s)}}static seqWithValue(e,t){let n=[];for(let s=0,r=e.length;s!==r;++s){let a=e[s];a.id in t&&n.push(a)}return n}};function xg(i,e,t){let n=i.createShader(e);return i.shaderSource(n,t),i.compileShader(n),n}var aM=37297,oM=0;function lM(i,e){let t=i.split(`
`),n=[],s=Math.max(e-6,0),r=Math.min(e+6,t.length);for(let a=s;a<r;a++){let o=a+1;n.push(`${o===e?">":" "} ${o}: ${t[a]}`)}return n.join(`
`)}var yg=new Qe;function cM(i){vt._getMatrix(yg,vt.workingColorSpace,i);let e=`mat3( ${yg.elements.map(t=>t.toFixed(4))} )`;switch(vt.getTransfer(i)){case Ya:return[e,"LinearTransferOETF"];case Ct:return[e,"sRGBTransferOETF"];default:return $e("WebGLProgram: Unsupported color space: ",i),[e,"LinearTransferOETF"]}}function bg(i,e,t){let n=i.getShaderParameter(e,i.COMPILE_STATUS),r=(i.getShaderInfoLog(e)||"").trim();if(n&&r==="")return"";let a=/ERROR: 0:(\d+)/.exec(r);if(a){let o=parseInt(a[1]);return t.toUpperCase()+`

`+r+`

`+lM(i.getShaderSource(e),o)}else return r}function hM(i,e){let t=cM(e);return[`vec4 ${i}( vec4 value ) {`,`	return ${t[1]}( vec4( ${t[0]} * value.rgb, value.a ) );`,"}"].join(`
`)}var uM={[Ju]:"Linear",[Ku]:"Reinhard",[ju]:"Cineon",[Qu]:"ACESFilmic",[td]:"AgX",[nd]:"Neutral",[ed]:"Custom"};function dM(i,e){let t=uM[e];return t===void 0?($e("WebGLProgram: Unsupported toneMapping:",e),"vec3 "+i+"( vec3 color ) { return LinearToneMapping( color ); }"):"vec3 "+i+"( vec3 color ) { return "+t+"ToneMapping( color ); }"}var eh=new Z;function fM(){vt.getLuminanceCoefficients(eh);let i=eh.x.toFixed(4),e=eh.y.toFixed(4),t=eh.z.toFixed(4);return["float luminance( const in vec3 rgb ) {",`	const vec3 weights = vec3( ${i}, ${e}, ${t} );`,"	return dot( weights, rgb );","}"].join(`
`)}function pM(i){return[i.extensionClipCullDistance?"#extension GL_ANGLE_clip_cull_distance : require":"",i.extensionMultiDraw?"#extension GL_ANGLE_multi_draw : require":""].filter(Eo).join(`
`)}function mM(i){let e=[];for(let t in i){let n=i[t];n!==!1&&e.push("#define "+t+" "+n)}return e.join(`
`)}function gM(i,e){let t={},n=i.getProgramParameter(e,i.ACTIVE_ATTRIBUTES);for(let s=0;s<n;s++){let r=i.getActiveAttrib(e,s),a=r.name,o=1;r.type===i.FLOAT_MAT2&&(o=2),r.type===i.FLOAT_MAT3&&(o=3),r.type===i.FLOAT_MAT4&&(o=4),t[a]={type:r.type,location:i.getAttribLocation(e,a),locationSize:o}}return t}function Eo(i){return i!==""}function Sg(i,e){let t=e.numSpotLightShadows+e.numSpotLightMaps-e.numSpotLightShadowsWithMaps;return i.replace(/NUM_SUN_LIGHTS/g,e.numSunLights).replace(/NUM_DIR_LIGHTS/g,e.numDirLights).replace(/NUM_SPOT_LIGHTS/g,e.numSpotLights).replace(/NUM_SPOT_LIGHT_MAPS/g,e.numSpotLightMaps).replace(/NUM_SPOT_LIGHT_COORDS/g,t).replace(/NUM_RECT_AREA_LIGHTS/g,e.numRectAreaLights).replace(/NUM_POINT_LIGHTS/g,e.numPointLights).replace(/NUM_HEMI_LIGHTS/g,e.numHemiLights).replace(/NUM_SUN_LIGHT_SHADOWS/g,e.numSunLightShadows).replace(/NUM_DIR_LIGHT_SHADOWS/g,e.numDirLightShadows).replace(/NUM_SPOT_LIGHT_SHADOWS_WITH_MAPS/g,e.numSpotLightShadowsWithMaps).replace(/NUM_SPOT_LIGHT_SHADOWS/g,e.numSpotLightShadows).replace(/NUM_POINT_LIGHT_SHADOWS/g,e.numPointLightShadows).replace(/NUM_LIGHT_PROBE_GRIDS/g,e.numLightProbeGrids)}function Mg(i,e){return i.replace(/NUM_CLIPPING_PLANES/g,e.numClippingPlanes).replace(/UNION_CLIPPING_PLANES/g,e.numClippingPlanes-e.numClipIntersection)}var _M=/^[ \t]*#include +<([\w\d./]+)>/gm;function Ad(i){return i.replace(_M,vM)}function vM(i,e){let t=ct[e];if(t===void 0)throw new Error("THREE.WebGLProgram: Can not resolve #include <"+e+">");return Ad(t)}var xM=/#pragma unroll_loop_start\s+for\s*\(\s*int\s+i\s*=\s*(\d+)\s*;\s*i\s*<\s*(\d+)\s*;\s*i\s*\+\+\s*\)\s*{([\s\S]+?)}\s+#pragma unroll_loop_end/g;function wg(i){return i.replace(xM,yM)}function yM(i,e,t,n){let s="";for(let r=parseInt(e);r<parseInt(t);r++)s+=n.replace(/\[\s*i\s*\]/g,"[ "+r+" ]").replace(/UNROLLED_LOOP_INDEX/g,r);return s}function Tg(i){let e=`precision ${i.precision} float;
	precision ${i.precision} int;
	precision ${i.precision} sampler2D;
	precision ${i.precision} samplerCube;
	precision ${i.precision} sampler3D;
	precision ${i.precision} sampler2DArray;
	precision ${i.precision} sampler2DShadow;
	precision ${i.precision} samplerCubeShadow;
	precision ${i.precision} sampler2DArrayShadow;
	precision ${i.precision} isampler2D;
	precision ${i.precision} isampler3D;
	precision ${i.precision} isamplerCube;
	precision ${i.precision} isampler2DArray;
	precision ${i.precision} usampler2D;
	precision ${i.precision} usampler3D;
	precision ${i.precision} usamplerCube;
	precision ${i.precision} usampler2DArray;
	`;return i.precision==="highp"?e+=`
#define HIGH_PRECISION`:i.precision==="mediump"?e+=`
#define MEDIUM_PRECISION`:i.precision==="lowp"&&(e+=`
#define LOW_PRECISION`),e}var bM={[go]:"SHADOWMAP_TYPE_PCF",[ha]:"SHADOWMAP_TYPE_VSM"};function SM(i){return bM[i.shadowMapType]||"SHADOWMAP_TYPE_BASIC"}var MM={[da]:"ENVMAP_MODE_REFRACTION"};function wM(i){return i.envMap===!1?"ENVMAP_MODE_REFLECTION":MM[i.envMapMode]||"ENVMAP_MODE_REFLECTION"}var TM={[uc]:"ENVMAP_BLENDING_MULTIPLY",[Gm]:"ENVMAP_BLENDING_MIX",[Hm]:"ENVMAP_BLENDING_ADD"};function EM(i){return i.envMap===!1?"ENVMAP_BLENDING_NONE":TM[i.combine]||"ENVMAP_BLENDING_NONE"}function AM(i,e,t,n){let s=i.getContext(),r=t.defines,a=t.vertexShader,o=t.fragmentShader,l=SM(t),c=t.envMapPMREM===!0?"ENVMAP_TYPE_PMREM":"ENVMAP_TYPE_CUBE",u=wM(t),d=EM(t),h=pM(t),f=mM(r),g=s.createProgram(),b,m,p=t.glslVersion?"#version "+t.glslVersion+`
`:"";t.isRawShaderMaterial?(b=["#define SHADER_TYPE "+t.shaderType,"#define SHADER_NAME "+t.shaderName,f].filter(Eo).join(`
`),b.length>0&&(b+=`
`),m=["#define SHADER_TYPE "+t.shaderType,"#define SHADER_NAME "+t.shaderName,f].filter(Eo).join(`
`),m.length>0&&(m+=`
`)):(b=[Tg(t),"#define SHADER_TYPE "+t.shaderType,"#define SHADER_NAME "+t.shaderName,f,t.extensionClipCullDistance?"#define USE_CLIP_DISTANCE":"",t.batching?"#define USE_BATCHING":"",t.batchingColor?"#define USE_BATCHING_COLOR":"",t.instancing?"#define USE_INSTANCING":"",t.instancingColor?"#define USE_INSTANCING_COLOR":"",t.instancingMorph?"#define USE_INSTANCING_MORPH":"",t.useFog&&t.fog?"#define USE_FOG":"",t.useFog&&t.fogExp2?"#define FOG_EXP2":"",t.map?"#define USE_MAP":"",t.envMap?"#define USE_ENVMAP":"",t.envMap?"#define "+u:"",t.lightMap?"#define USE_LIGHTMAP":"",t.aoMap?"#define USE_AOMAP":"",t.bumpMap?"#define USE_BUMPMAP":"",t.normalMap?"#define USE_NORMALMAP":"",t.normalMapObjectSpace?"#define USE_NORMALMAP_OBJECTSPACE":"",t.normalMapTangentSpace?"#define USE_NORMALMAP_TANGENTSPACE":"",t.displacementMap?"#define USE_DISPLACEMENTMAP":"",t.emissiveMap?"#define USE_EMISSIVEMAP":"",t.anisotropy?"#define USE_ANISOTROPY":"",t.anisotropyMap?"#define USE_ANISOTROPYMAP":"",t.clearcoatMap?"#define USE_CLEARCOATMAP":"",t.clearcoatRoughnessMap?"#define USE_CLEARCOAT_ROUGHNESSMAP":"",t.clearcoatNormalMap?"#define USE_CLEARCOAT_NORMALMAP":"",t.diffuseRoughnessMap?"#define USE_DIFFUSE_ROUGHNESSMAP":"",t.iridescenceMap?"#define USE_IRIDESCENCEMAP":"",t.iridescenceThicknessMap?"#define USE_IRIDESCENCE_THICKNESSMAP":"",t.specularMap?"#define USE_SPECULARMAP":"",t.specularColorMap?"#define USE_SPECULAR_COLORMAP":"",t.specularIntensityMap?"#define USE_SPECULAR_INTENSITYMAP":"",t.roughnessMap?"#define USE_ROUGHNESSMAP":"",t.metalnessMap?"#define USE_METALNESSMAP":"",t.alphaMap?"#define USE_ALPHAMAP":"",t.alphaHash?"#define USE_ALPHAHASH":"",t.transmission?"#define USE_TRANSMISSION":"",t.transmissionMap?"#define USE_TRANSMISSIONMAP":"",t.thicknessMap?"#define USE_THICKNESSMAP":"",t.sheenColorMap?"#define USE_SHEEN_COLORMAP":"",t.sheenRoughnessMap?"#define USE_SHEEN_ROUGHNESSMAP":"",t.mapUv?"#define MAP_UV "+t.mapUv:"",t.alphaMapUv?"#define ALPHAMAP_UV "+t.alphaMapUv:"",t.lightMapUv?"#define LIGHTMAP_UV "+t.lightMapUv:"",t.aoMapUv?"#define AOMAP_UV "+t.aoMapUv:"",t.emissiveMapUv?"#define EMISSIVEMAP_UV "+t.emissiveMapUv:"",t.bumpMapUv?"#define BUMPMAP_UV "+t.bumpMapUv:"",t.normalMapUv?"#define NORMALMAP_UV "+t.normalMapUv:"",t.displacementMapUv?"#define DISPLACEMENTMAP_UV "+t.displacementMapUv:"",t.metalnessMapUv?"#define METALNESSMAP_UV "+t.metalnessMapUv:"",t.roughnessMapUv?"#define ROUGHNESSMAP_UV "+t.roughnessMapUv:"",t.anisotropyMapUv?"#define ANISOTROPYMAP_UV "+t.anisotropyMapUv:"",t.clearcoatMapUv?"#define CLEARCOATMAP_UV "+t.clearcoatMapUv:"",t.clearcoatNormalMapUv?"#define CLEARCOAT_NORMALMAP_UV "+t.clearcoatNormalMapUv:"",t.clearcoatRoughnessMapUv?"#define CLEARCOAT_ROUGHNESSMAP_UV "+t.clearcoatRoughnessMapUv:"",t.diffuseRoughnessMapUv?"#define DIFFUSE_ROUGHNESSMAP_UV "+t.diffuseRoughnessMapUv:"",t.iridescenceMapUv?"#define IRIDESCENCEMAP_UV "+t.iridescenceMapUv:"",t.iridescenceThicknessMapUv?"#define IRIDESCENCE_THICKNESSMAP_UV "+t.iridescenceThicknessMapUv:"",t.sheenColorMapUv?"#define SHEEN_COLORMAP_UV "+t.sheenColorMapUv:"",t.sheenRoughnessMapUv?"#define SHEEN_ROUGHNESSMAP_UV "+t.sheenRoughnessMapUv:"",t.specularMapUv?"#define SPECULARMAP_UV "+t.specularMapUv:"",t.specularColorMapUv?"#define SPECULAR_COLORMAP_UV "+t.specularColorMapUv:"",t.specularIntensityMapUv?"#define SPECULAR_INTENSITYMAP_UV "+t.specularIntensityMapUv:"",t.transmissionMapUv?"#define TRANSMISSIONMAP_UV "+t.transmissionMapUv:"",t.thicknessMapUv?"#define THICKNESSMAP_UV "+t.thicknessMapUv:"",t.vertexTangents&&t.flatShading===!1?"#define USE_TANGENT":"",t.vertexNormals?"#define HAS_NORMAL":"",t.vertexColors?"#define USE_COLOR":"",t.vertexAlphas?"#define USE_COLOR_ALPHA":"",t.vertexUv1s?"#define USE_UV1":"",t.vertexUv2s?"#define USE_UV2":"",t.vertexUv3s?"#define USE_UV3":"",t.pointsUvs?"#define USE_POINTS_UV":"",t.flatShading?"#define FLAT_SHADED":"",t.skinning?"#define USE_SKINNING":"",t.morphTargets?"#define USE_MORPHTARGETS":"",t.morphNormals&&t.flatShading===!1?"#define USE_MORPHNORMALS":"",t.morphColors?"#define USE_MORPHCOLORS":"",t.morphTargetsCount>0?"#define MORPHTARGETS_TEXTURE_STRIDE "+t.morphTextureStride:"",t.morphTargetsCount>0?"#define MORPHTARGETS_COUNT "+t.morphTargetsCount:"",t.doubleSided?"#define DOUBLE_SIDED":"",t.flipSided?"#define FLIP_SIDED":"",t.shadowMapEnabled?"#define USE_SHADOWMAP":"",t.shadowMapEnabled?"#define "+l:"",t.sizeAttenuation?"#define USE_SIZEATTENUATION":"",t.numLightProbes>0?"#define USE_LIGHT_PROBES":"",t.logarithmicDepthBuffer?"#define USE_LOGARITHMIC_DEPTH_BUFFER":"",t.reversedDepthBuffer?"#define USE_REVERSED_DEPTH_BUFFER":"","uniform mat4 modelMatrix;","uniform mat4 modelViewMatrix;","uniform mat4 projectionMatrix;","uniform mat4 viewMatrix;","uniform mat3 normalMatrix;","uniform vec3 cameraPosition;","uniform bool isOrthographic;","#ifdef USE_INSTANCING","	attribute mat4 instanceMatrix;","#endif","#ifdef USE_INSTANCING_COLOR","	attribute vec3 instanceColor;","#endif","#ifdef USE_INSTANCING_MORPH","	uniform sampler2D morphTexture;","#endif","attribute vec3 position;","attribute vec3 normal;","attribute vec2 uv;","#ifdef USE_UV1","	attribute vec2 uv1;","#endif","#ifdef USE_UV2","	attribute vec2 uv2;","#endif","#ifdef USE_UV3","	attribute vec2 uv3;","#endif","#ifdef USE_TANGENT","	attribute vec4 tangent;","#endif","#if defined( USE_COLOR_ALPHA )","	attribute vec4 color;","#elif defined( USE_COLOR )","	attribute vec3 color;","#endif","#ifdef USE_SKINNING","	attribute vec4 skinIndex;","	attribute vec4 skinWeight;","#endif",`
`].filter(Eo).join(`
`),m=[Tg(t),"#define SHADER_TYPE "+t.shaderType,"#define SHADER_NAME "+t.shaderName,f,t.useFog&&t.fog?"#define USE_FOG":"",t.useFog&&t.fogExp2?"#define FOG_EXP2":"",t.alphaToCoverage?"#define ALPHA_TO_COVERAGE":"",t.map?"#define USE_MAP":"",t.matcap?"#define USE_MATCAP":"",t.envMap?"#define USE_ENVMAP":"",t.envMap?"#define "+c:"",t.envMap?"#define "+u:"",t.envMap?"#define "+d:"",t.envMapPMREM?"#define ENVMAP_MAX_LOD "+t.envMapMaxLod+".0":"",t.envMapPMREM?"#define ENVMAP_SIZE "+t.envMapSize+".0":"",t.lightMap?"#define USE_LIGHTMAP":"",t.aoMap?"#define USE_AOMAP":"",t.bumpMap?"#define USE_BUMPMAP":"",t.normalMap?"#define USE_NORMALMAP":"",t.normalMapObjectSpace?"#define USE_NORMALMAP_OBJECTSPACE":"",t.normalMapTangentSpace?"#define USE_NORMALMAP_TANGENTSPACE":"",t.packedNormalMap?"#define USE_PACKED_NORMALMAP":"",t.emissiveMap?"#define USE_EMISSIVEMAP":"",t.anisotropy?"#define USE_ANISOTROPY":"",t.anisotropyMap?"#define USE_ANISOTROPYMAP":"",t.clearcoat?"#define USE_CLEARCOAT":"",t.clearcoatMap?"#define USE_CLEARCOATMAP":"",t.clearcoatRoughnessMap?"#define USE_CLEARCOAT_ROUGHNESSMAP":"",t.clearcoatNormalMap?"#define USE_CLEARCOAT_NORMALMAP":"",t.diffuseRoughness?"#define USE_DIFFUSE_ROUGHNESS":"",t.diffuseRoughnessMap?"#define USE_DIFFUSE_ROUGHNESSMAP":"",t.dispersion?"#define USE_DISPERSION":"",t.retroreflection?"#define USE_RETROREFLECTION":"",t.iridescence?"#define USE_IRIDESCENCE":"",t.iridescenceMap?"#define USE_IRIDESCENCEMAP":"",t.iridescenceThicknessMap?"#define USE_IRIDESCENCE_THICKNESSMAP":"",t.specularMap?"#define USE_SPECULARMAP":"",t.specularColorMap?"#define USE_SPECULAR_COLORMAP":"",t.specularIntensityMap?"#define USE_SPECULAR_INTENSITYMAP":"",t.roughnessMap?"#define USE_ROUGHNESSMAP":"",t.metalnessMap?"#define USE_METALNESSMAP":"",t.alphaMap?"#define USE_ALPHAMAP":"",t.alphaTest?"#define USE_ALPHATEST":"",t.alphaHash?"#define USE_ALPHAHASH":"",t.sheen?"#define USE_SHEEN":"",t.sheenColorMap?"#define USE_SHEEN_COLORMAP":"",t.sheenRoughnessMap?"#define USE_SHEEN_ROUGHNESSMAP":"",t.transmission?"#define USE_TRANSMISSION":"",t.transmissionMap?"#define USE_TRANSMISSIONMAP":"",t.thicknessMap?"#define USE_THICKNESSMAP":"",t.vertexTangents&&t.flatShading===!1?"#define USE_TANGENT":"",t.vertexColors||t.instancingColor?"#define USE_COLOR":"",t.vertexAlphas||t.batchingColor?"#define USE_COLOR_ALPHA":"",t.vertexUv1s?"#define USE_UV1":"",t.vertexUv2s?"#define USE_UV2":"",t.vertexUv3s?"#define USE_UV3":"",t.pointsUvs?"#define USE_POINTS_UV":"",t.gradientMap?"#define USE_GRADIENTMAP":"",t.flatShading?"#define FLAT_SHADED":"",t.doubleSided?"#define DOUBLE_SIDED":"",t.flipSided?"#define FLIP_SIDED":"",t.shadowMapEnabled?"#define USE_SHADOWMAP":"",t.shadowMapEnabled?"#define "+l:"",t.premultipliedAlpha?"#define PREMULTIPLIED_ALPHA":"",t.numLightProbes>0?"#define USE_LIGHT_PROBES":"",t.decodeVideoTexture?"#define DECODE_VIDEO_TEXTURE":"",t.decodeVideoTextureEmissive?"#define DECODE_VIDEO_TEXTURE_EMISSIVE":"",t.logarithmicDepthBuffer?"#define USE_LOGARITHMIC_DEPTH_BUFFER":"",t.reversedDepthBuffer?"#define USE_REVERSED_DEPTH_BUFFER":"","uniform mat4 viewMatrix;","uniform vec3 cameraPosition;","uniform bool isOrthographic;",t.toneMapping!==ji?"#define TONE_MAPPING":"",t.toneMapping!==ji?ct.tonemapping_pars_fragment:"",t.toneMapping!==ji?dM("toneMapping",t.toneMapping):"",t.dithering?"#define DITHERING":"",t.opaque?"#define OPAQUE":"",ct.colorspace_pars_fragment,hM("linearToOutputTexel",t.outputColorSpace),fM(),t.useDepthPacking?"#define DEPTH_PACKING "+t.depthPacking:"",`
`].filter(Eo).join(`
`)),a=Ad(a),a=Sg(a,t),a=Mg(a,t),o=Ad(o),o=Sg(o,t),o=Mg(o,t),a=wg(a),o=wg(o),t.isRawShaderMaterial!==!0&&(p=`#version 300 es
`,b=[h,"#define attribute in","#define varying out","#define texture2D texture"].join(`
`)+`
`+b,m=["#define varying in",t.glslVersion===md?"":"layout(location = 0) out highp vec4 pc_fragColor;",t.glslVersion===md?"":"#define gl_FragColor pc_fragColor","#define gl_FragDepthEXT gl_FragDepth","#define texture2D texture","#define textureCube texture","#define texture2DProj textureProj","#define texture2DLodEXT textureLod","#define texture2DProjLodEXT textureProjLod","#define textureCubeLodEXT textureLod","#define texture2DGradEXT textureGrad","#define texture2DProjGradEXT textureProjGrad","#define textureCubeGradEXT textureGrad"].join(`
`)+`
`+m);let x=p+b+a,A=p+m+o,S=xg(s,s.VERTEX_SHADER,x),R=xg(s,s.FRAGMENT_SHADER,A);s.attachShader(g,S),s.attachShader(g,R),t.index0AttributeName!==void 0?s.bindAttribLocation(g,0,t.index0AttributeName):t.hasPositionAttribute===!0&&s.bindAttribLocation(g,0,"position"),s.linkProgram(g);function E(F){if(i.debug.checkShaderErrors){let L=s.getProgramInfoLog(g)||"",z=s.getShaderInfoLog(S)||"",G=s.getShaderInfoLog(R)||"",N=L.trim(),H=z.trim(),Y=G.trim(),W=!0,ce=!0;if(s.getProgramParameter(g,s.LINK_STATUS)===!1)if(W=!1,typeof i.debug.onShaderError=="function")i.debug.onShaderError(s,g,S,R);else{let K=bg(s,S,"vertex"),Q=bg(s,R,"fragment");je("WebGLProgram: Shader Error "+s.getError()+" - VALIDATE_STATUS "+s.getProgramParameter(g,s.VALIDATE_STATUS)+`

Material Name: `+F.name+`
Material Type: `+F.type+`

Program Info Log: `+N+`
`+K+`
`+Q)}else N!==""?$e("WebGLProgram: Program Info Log:",N):(H===""||Y==="")&&(ce=!1);ce&&(F.diagnostics={runnable:W,programLog:N,vertexShader:{log:H,prefix:b},fragmentShader:{log:Y,prefix:m}})}s.deleteShader(S),s.deleteShader(R),v=new pa(s,g),T=gM(s,g)}let v;this.getUniforms=function(){return v===void 0&&E(this),v};let T;this.getAttributes=function(){return T===void 0&&E(this),T};let B=t.rendererExtensionParallelShaderCompile===!1;return this.isReady=function(){return B===!1&&(B=s.getProgramParameter(g,aM)),B},this.destroy=function(){n.releaseStatesOfProgram(this),s.deleteProgram(g),this.program=void 0},this.type=t.shaderType,this.name=t.shaderName,this.id=oM++,this.cacheKey=e,this.usedTimes=1,this.program=g,this.vertexShader=S,this.fragmentShader=R,this}var CM=0,Cd=class{constructor(){this.shaderCache=new Map,this.materialCache=new Map}update(e,t,n){let s=this._getShaderCacheForMaterial(e);return s.has(t)===!1&&(s.add(t),t.usedTimes++),s.has(n)===!1&&(s.add(n),n.usedTimes++),this}remove(e){let t=this.materialCache.get(e);for(let n of t)n.usedTimes--,n.usedTimes===0&&this.shaderCache.delete(n.code);return this.materialCache.delete(e),this}getVertexShaderStage(e){return this._getShaderStage(e.vertexShader)}getFragmentShaderStage(e){return this._getShaderStage(e.fragmentShader)}dispose(){this.shaderCache.clear(),this.materialCache.clear()}_getShaderCacheForMaterial(e){let t=this.materialCache,n=t.get(e);return n===void 0&&(n=new Set,t.set(e,n)),n}_getShaderStage(e){let t=this.shaderCache,n=t.get(e);return n===void 0&&(n=new Rd(e),t.set(e,n)),n}},Rd=class{constructor(e){this.id=CM++,this.code=e,this.usedTimes=0}};function RM(i){return i===Xs||i===So||i===Mo}function PM(i,e,t,n,s,r){let a=new Ja,o=new Cd,l=new Set,c=[],u=new Map,d=n.logarithmicDepthBuffer,h={MeshDepthMaterial:"depth",MeshDistanceMaterial:"distance",MeshNormalMaterial:"normal",MeshBasicMaterial:"basic",MeshLambertMaterial:"lambert",MeshPhongMaterial:"phong",MeshToonMaterial:"toon",MeshStandardMaterial:"physical",MeshPhysicalMaterial:"physical",MeshMatcapMaterial:"matcap",LineBasicMaterial:"basic",LineDashedMaterial:"dashed",PointsMaterial:"points",ShadowMaterial:"shadow",SpriteMaterial:"sprite"};function f(v){return l.add(v),v===0?"uv":`uv${v}`}function g(v,T,B,F,L,z){let G=F.fog,N=L.geometry,H=v.isMeshStandardMaterial||v.isMeshLambertMaterial||v.isMeshPhongMaterial?F.environment:null,Y=v.isMeshStandardMaterial||v.isMeshLambertMaterial&&!v.envMap||v.isMeshPhongMaterial&&!v.envMap,W=e.get(v.envMap||H,Y),ce=h[v.type],K=n.precision;v.precision!==null&&(K=n.getMaxPrecision(v.precision),K!==v.precision&&$e("WebGLProgram.getParameters:",v.precision,"not supported, using",K,"instead."));let Q=N.morphAttributes.position||N.morphAttributes.normal||N.morphAttributes.color,se=Q!==void 0?Q.length:0,de=0;N.morphAttributes.position!==void 0&&(de=1),N.morphAttributes.normal!==void 0&&(de=2),N.morphAttributes.color!==void 0&&(de=3);let ue,ee,me,ve;if(ce){let Ce=es[ce];ue=Ce.vertexShader,ee=Ce.fragmentShader}else{ue=v.vertexShader,ee=v.fragmentShader;let Ce=o.getVertexShaderStage(v),rt=o.getFragmentShaderStage(v);o.update(v,Ce,rt),me=Ce.id,ve=rt.id}let Ae=i.getRenderTarget(),Se=i.state.buffers.depth.getReversed(),He=L.isInstancedMesh===!0,nt=L.isBatchedMesh===!0,Ve=!!v.map,ht=!!v.matcap,at=!!W,et=at&&W.isPMREMTexture===!0,qt=!!v.aoMap,Ot=!!v.lightMap,an=!!v.bumpMap&&v.wireframe===!1,Lt=!!v.normalMap,bn=!!v.displacementMap,yt=!!v.emissiveMap,pn=!!v.metalnessMap,Jt=!!v.roughnessMap,on=v.anisotropy>0,O=v.clearcoat>0,Re=v.diffuseRoughness>0,qe=v.dispersion>0,it=v.retroreflectivity>0,Me=v.iridescence>0,Dt=v.sheen>0,ze=v.transmission>0,Xe=on&&!!v.anisotropyMap,P=O&&!!v.clearcoatMap,y=O&&!!v.clearcoatNormalMap,X=O&&!!v.clearcoatRoughnessMap,he=Re&&!!v.diffuseRoughnessMap,ae=Me&&!!v.iridescenceMap,_e=Me&&!!v.iridescenceThicknessMap,xe=Dt&&!!v.sheenColorMap,te=Dt&&!!v.sheenRoughnessMap,ie=!!v.specularMap,pe=!!v.specularColorMap,U=!!v.specularIntensityMap,re=ze&&!!v.transmissionMap,ne=ze&&!!v.thicknessMap,we=!!v.gradientMap,ge=!!v.alphaMap,be=v.alphaTest>0,Ge=!!v.alphaHash,Ze=!!v.extensions,le=ji;v.toneMapped&&(Ae===null||Ae.isXRRenderTarget===!0)&&(le=i.toneMapping);let Oe=et?W.isCompressedCubeTexture?W.image[0].mipmaps:W.mipmaps:null,Je={shaderID:ce,shaderType:v.type,shaderName:v.name,vertexShader:ue,fragmentShader:ee,defines:v.defines,customVertexShaderID:me,customFragmentShaderID:ve,isRawShaderMaterial:v.isRawShaderMaterial===!0,glslVersion:v.glslVersion,precision:K,batching:nt,batchingColor:nt&&L._colorsTexture!==null,instancing:He,instancingColor:He&&L.instanceColor!==null,instancingMorph:He&&L.morphTexture!==null,outputColorSpace:Ae===null?i.outputColorSpace:Ae.isXRRenderTarget===!0?Ae.texture.colorSpace:vt.workingColorSpace,alphaToCoverage:!!v.alphaToCoverage,map:Ve,matcap:ht,envMap:at,envMapMode:at&&W.mapping,envMapPMREM:et,envMapMaxLod:et?Oe.length-1:null,envMapSize:et?Oe[0].width:null,aoMap:qt,lightMap:Ot,bumpMap:an,normalMap:Lt,displacementMap:bn,emissiveMap:yt,normalMapObjectSpace:Lt&&v.normalMapType===qm,normalMapTangentSpace:Lt&&v.normalMapType===jc,packedNormalMap:Lt&&v.normalMapType===jc&&RM(v.normalMap.format),metalnessMap:pn,roughnessMap:Jt,anisotropy:on,anisotropyMap:Xe,clearcoat:O,clearcoatMap:P,clearcoatNormalMap:y,clearcoatRoughnessMap:X,diffuseRoughness:Re,diffuseRoughnessMap:he,dispersion:qe,retroreflection:it,iridescence:Me,iridescenceMap:ae,iridescenceThicknessMap:_e,sheen:Dt,sheenColorMap:xe,sheenRoughnessMap:te,specularMap:ie,specularColorMap:pe,specularIntensityMap:U,transmission:ze,transmissionMap:re,thicknessMap:ne,gradientMap:we,opaque:v.transparent===!1&&v.blending===ua&&v.alphaToCoverage===!1,alphaMap:ge,alphaTest:be,alphaHash:Ge,combine:v.combine,mapUv:Ve&&f(v.map.channel),aoMapUv:qt&&f(v.aoMap.channel),lightMapUv:Ot&&f(v.lightMap.channel),bumpMapUv:an&&f(v.bumpMap.channel),normalMapUv:Lt&&f(v.normalMap.channel),displacementMapUv:bn&&f(v.displacementMap.channel),emissiveMapUv:yt&&f(v.emissiveMap.channel),metalnessMapUv:pn&&f(v.metalnessMap.channel),roughnessMapUv:Jt&&f(v.roughnessMap.channel),anisotropyMapUv:Xe&&f(v.anisotropyMap.channel),clearcoatMapUv:P&&f(v.clearcoatMap.channel),clearcoatNormalMapUv:y&&f(v.clearcoatNormalMap.channel),clearcoatRoughnessMapUv:X&&f(v.clearcoatRoughnessMap.channel),diffuseRoughnessMapUv:he&&f(v.diffuseRoughnessMap.channel),iridescenceMapUv:ae&&f(v.iridescenceMap.channel),iridescenceThicknessMapUv:_e&&f(v.iridescenceThicknessMap.channel),sheenColorMapUv:xe&&f(v.sheenColorMap.channel),sheenRoughnessMapUv:te&&f(v.sheenRoughnessMap.channel),specularMapUv:ie&&f(v.specularMap.channel),specularColorMapUv:pe&&f(v.specularColorMap.channel),specularIntensityMapUv:U&&f(v.specularIntensityMap.channel),transmissionMapUv:re&&f(v.transmissionMap.channel),thicknessMapUv:ne&&f(v.thicknessMap.channel),alphaMapUv:ge&&f(v.alphaMap.channel),vertexTangents:!!N.attributes.tangent&&(Lt||on),vertexNormals:!!N.attributes.normal,vertexColors:v.vertexColors,vertexAlphas:v.vertexColors===!0&&!!N.attributes.color&&N.attributes.color.itemSize===4,pointsUvs:L.isPoints===!0&&!!N.attributes.uv&&(Ve||ge),fog:!!G,useFog:v.fog===!0,fogExp2:!!G&&G.isFogExp2,flatShading:v.wireframe===!1&&(v.flatShading===!0||N.attributes.normal===void 0&&Lt===!1&&(v.isMeshLambertMaterial||v.isMeshPhongMaterial||v.isMeshStandardMaterial||v.isMeshPhysicalMaterial)),sizeAttenuation:v.sizeAttenuation===!0,logarithmicDepthBuffer:d,reversedDepthBuffer:Se,skinning:L.isSkinnedMesh===!0,hasPositionAttribute:N.attributes.position!==void 0,morphTargets:N.morphAttributes.position!==void 0,morphNormals:N.morphAttributes.normal!==void 0,morphColors:N.morphAttributes.color!==void 0,morphTargetsCount:se,morphTextureStride:de,numSunLights:T.sun.length,numDirLights:T.directional.length,numPointLights:T.point.length,numSpotLights:T.spot.length,numSpotLightMaps:T.spotLightMap.length,numRectAreaLights:T.rectArea.length,numHemiLights:T.hemi.length,numSunLightShadows:T.sunShadowMap.length,numDirLightShadows:T.directionalShadowMap.length,numPointLightShadows:T.pointShadowMap.length,numSpotLightShadows:T.spotShadowMap.length,numSpotLightShadowsWithMaps:T.numSpotLightShadowsWithMaps,numLightProbes:T.numLightProbes,numLightProbeGrids:z.filter(Ce=>Ce.texture!==null).length,numClippingPlanes:r.numPlanes,numClipIntersection:r.numIntersection,dithering:v.dithering,shadowMapEnabled:i.shadowMap.enabled&&B.length>0,shadowMapType:i.shadowMap.type,toneMapping:le,decodeVideoTexture:Ve&&v.map.isVideoTexture===!0&&vt.getTransfer(v.map.colorSpace)===Ct,decodeVideoTextureEmissive:yt&&v.emissiveMap.isVideoTexture===!0&&vt.getTransfer(v.emissiveMap.colorSpace)===Ct,premultipliedAlpha:v.premultipliedAlpha,doubleSided:v.side===Ki,flipSided:v.side===qn,useDepthPacking:v.depthPacking>=0,depthPacking:v.depthPacking||0,index0AttributeName:v.index0AttributeName,extensionClipCullDistance:Ze&&v.extensions.clipCullDistance===!0&&t.has("WEBGL_clip_cull_distance"),extensionMultiDraw:(Ze&&v.extensions.multiDraw===!0||nt)&&t.has("WEBGL_multi_draw"),rendererExtensionParallelShaderCompile:t.has("KHR_parallel_shader_compile"),customProgramCacheKey:v.customProgramCacheKey()};return Je.vertexUv1s=l.has(1),Je.vertexUv2s=l.has(2),Je.vertexUv3s=l.has(3),l.clear(),Je}function b(v){let T=[];if(v.shaderID?T.push(v.shaderID):(T.push(v.customVertexShaderID),T.push(v.customFragmentShaderID)),v.defines!==void 0)for(let B in v.defines)T.push(B),T.push(v.defines[B]);return v.isRawShaderMaterial===!1&&(m(T,v),p(T,v),T.push(i.outputColorSpace)),T.push(v.customProgramCacheKey),T.join()}function m(v,T){v.push(T.precision),v.push(T.outputColorSpace),v.push(T.envMapMode),v.push(T.envMapPMREM),v.push(T.envMapMaxLod),v.push(T.envMapSize),v.push(T.mapUv),v.push(T.alphaMapUv),v.push(T.lightMapUv),v.push(T.aoMapUv),v.push(T.bumpMapUv),v.push(T.normalMapUv),v.push(T.displacementMapUv),v.push(T.emissiveMapUv),v.push(T.metalnessMapUv),v.push(T.roughnessMapUv),v.push(T.anisotropyMapUv),v.push(T.clearcoatMapUv),v.push(T.clearcoatNormalMapUv),v.push(T.clearcoatRoughnessMapUv),v.push(T.diffuseRoughnessMapUv),v.push(T.iridescenceMapUv),v.push(T.iridescenceThicknessMapUv),v.push(T.sheenColorMapUv),v.push(T.sheenRoughnessMapUv),v.push(T.specularMapUv),v.push(T.specularColorMapUv),v.push(T.specularIntensityMapUv),v.push(T.transmissionMapUv),v.push(T.thicknessMapUv),v.push(T.combine),v.push(T.fogExp2),v.push(T.sizeAttenuation),v.push(T.morphTargetsCount),v.push(T.numSunLights),v.push(T.numDirLights),v.push(T.numPointLights),v.push(T.numSpotLights),v.push(T.numSpotLightMaps),v.push(T.numHemiLights),v.push(T.numRectAreaLights),v.push(T.numSunLightShadows),v.push(T.numDirLightShadows),v.push(T.numPointLightShadows),v.push(T.numSpotLightShadows),v.push(T.numSpotLightShadowsWithMaps),v.push(T.numLightProbes),v.push(T.numLightProbeGrids),v.push(T.shadowMapType),v.push(T.toneMapping),v.push(T.numClippingPlanes),v.push(T.numClipIntersection),v.push(T.depthPacking)}function p(v,T){a.disableAll(),T.instancing&&a.enable(0),T.instancingColor&&a.enable(1),T.instancingMorph&&a.enable(2),T.matcap&&a.enable(3),T.envMap&&a.enable(4),T.normalMapObjectSpace&&a.enable(5),T.normalMapTangentSpace&&a.enable(6),T.clearcoat&&a.enable(7),T.iridescence&&a.enable(8),T.alphaTest&&a.enable(9),T.vertexColors&&a.enable(10),T.vertexAlphas&&a.enable(11),T.vertexUv1s&&a.enable(12),T.vertexUv2s&&a.enable(13),T.vertexUv3s&&a.enable(14),T.vertexTangents&&a.enable(15),T.anisotropy&&a.enable(16),T.alphaHash&&a.enable(17),T.batching&&a.enable(18),T.dispersion&&a.enable(19),T.retroreflection&&a.enable(24),T.diffuseRoughness&&a.enable(25),T.batchingColor&&a.enable(20),T.gradientMap&&a.enable(21),T.packedNormalMap&&a.enable(22),T.vertexNormals&&a.enable(23),v.push(a.mask),a.disableAll(),T.fog&&a.enable(0),T.useFog&&a.enable(1),T.flatShading&&a.enable(2),T.logarithmicDepthBuffer&&a.enable(3),T.reversedDepthBuffer&&a.enable(4),T.skinning&&a.enable(5),T.morphTargets&&a.enable(6),T.morphNormals&&a.enable(7),T.morphColors&&a.enable(8),T.premultipliedAlpha&&a.enable(9),T.shadowMapEnabled&&a.enable(10),T.doubleSided&&a.enable(11),T.flipSided&&a.enable(12),T.useDepthPacking&&a.enable(13),T.dithering&&a.enable(14),T.transmission&&a.enable(15),T.sheen&&a.enable(16),T.opaque&&a.enable(17),T.pointsUvs&&a.enable(18),T.decodeVideoTexture&&a.enable(19),T.decodeVideoTextureEmissive&&a.enable(20),T.alphaToCoverage&&a.enable(21),T.numLightProbeGrids>0&&a.enable(22),T.hasPositionAttribute&&a.enable(23),v.push(a.mask)}function x(v){let T=h[v.type],B;if(T){let F=es[T];B=ag.clone(F.uniforms)}else B=v.uniforms;return B}function A(v,T){let B=u.get(T);return B!==void 0?++B.usedTimes:(B=new AM(i,T,v,s),c.push(B),u.set(T,B)),B}function S(v){if(--v.usedTimes===0){let T=c.indexOf(v);c[T]=c[c.length-1],c.pop(),u.delete(v.cacheKey),v.destroy()}}function R(v){o.remove(v)}function E(){o.dispose()}return{getParameters:g,getProgramCacheKey:b,getUniforms:x,acquireProgram:A,releaseProgram:S,releaseShaderCache:R,programs:c,dispose:E}}function IM(){let i=new WeakMap;function e(a){return i.has(a)}function t(a){let o=i.get(a);return o===void 0&&(o={},i.set(a,o)),o}function n(a){i.delete(a)}function s(a,o,l){i.get(a)[o]=l}function r(){i=new WeakMap}return{has:e,get:t,remove:n,update:s,dispose:r}}function LM(i,e){return i.groupOrder!==e.groupOrder?i.groupOrder-e.groupOrder:i.renderOrder!==e.renderOrder?i.renderOrder-e.renderOrder:i.material.id!==e.material.id?i.material.id-e.material.id:i.materialVariant!==e.materialVariant?i.materialVariant-e.materialVariant:i.z!==e.z?i.z-e.z:i.id-e.id}function Eg(i,e){return i.groupOrder!==e.groupOrder?i.groupOrder-e.groupOrder:i.renderOrder!==e.renderOrder?i.renderOrder-e.renderOrder:i.z!==e.z?e.z-i.z:i.id-e.id}function Ag(){let i=[],e=0,t=[],n=[],s=[];function r(){e=0,t.length=0,n.length=0,s.length=0}function a(h){let f=0;return h.isInstancedMesh&&(f+=2),h.isSkinnedMesh&&(f+=1),f}function o(h,f,g,b,m,p){let x=i[e];return x===void 0?(x={id:h.id,object:h,geometry:f,material:g,materialVariant:a(h),groupOrder:b,renderOrder:h.renderOrder,z:m,group:p},i[e]=x):(x.id=h.id,x.object=h,x.geometry=f,x.material=g,x.materialVariant=a(h),x.groupOrder=b,x.renderOrder=h.renderOrder,x.z=m,x.group=p),e++,x}function l(h,f,g,b,m,p,x){x.reversedDepth===!0&&(m=-m);let A=o(h,f,g,b,m,p);g.transmission>0?n.push(A):g.transparent===!0?s.push(A):t.push(A)}function c(h,f,g,b,m,p){let x=o(h,f,g,b,m,p);g.transmission>0?n.unshift(x):g.transparent===!0?s.unshift(x):t.unshift(x)}function u(h,f){t.length>1&&t.sort(h||LM),n.length>1&&n.sort(f||Eg),s.length>1&&s.sort(f||Eg)}function d(){for(let h=e,f=i.length;h<f;h++){let g=i[h];if(g.id===null)break;g.id=null,g.object=null,g.geometry=null,g.material=null,g.group=null}}return{opaque:t,transmissive:n,transparent:s,init:r,push:l,unshift:c,finish:d,sort:u}}function NM(){let i=new WeakMap;function e(n,s){let r=i.get(n),a;return r===void 0?(a=new Ag,i.set(n,[a])):s>=r.length?(a=new Ag,r.push(a)):a=r[s],a}function t(){i=new WeakMap}return{get:e,dispose:t}}function DM(){let i={};return{get:function(e){if(i[e.id]!==void 0)return i[e.id];let t;switch(e.type){case"SunLight":case"DirectionalLight":t={direction:new Z,color:new st};break;case"SpotLight":t={position:new Z,direction:new Z,color:new st,distance:0,coneCos:0,penumbraCos:0,decay:0};break;case"PointLight":t={position:new Z,color:new st,distance:0,decay:0};break;case"HemisphereLight":t={direction:new Z,skyColor:new st,groundColor:new st};break;case"RectAreaLight":t={color:new st,position:new Z,halfWidth:new Z,halfHeight:new Z};break}return i[e.id]=t,t}}}function FM(){let i={};return{get:function(e){if(i[e.id]!==void 0)return i[e.id];let t;switch(e.type){case"SunLight":case"DirectionalLight":t={shadowIntensity:1,shadowBias:0,shadowNormalBias:0,shadowRadius:1,shadowMapSize:new pt};break;case"SpotLight":t={shadowIntensity:1,shadowBias:0,shadowNormalBias:0,shadowRadius:1,shadowMapSize:new pt};break;case"PointLight":t={shadowIntensity:1,shadowBias:0,shadowNormalBias:0,shadowRadius:1,shadowMapSize:new pt,shadowCameraNear:1,shadowCameraFar:1e3};break}return i[e.id]=t,t}}}var UM=0;function OM(i,e){return(e.castShadow?2:0)-(i.castShadow?2:0)+(e.map?1:0)-(i.map?1:0)}function BM(i){let e=new DM,t=FM(),n={version:0,hash:{sunLength:-1,directionalLength:-1,pointLength:-1,spotLength:-1,rectAreaLength:-1,hemiLength:-1,numSunShadows:-1,numDirectionalShadows:-1,numPointShadows:-1,numSpotShadows:-1,numSpotMaps:-1,numLightProbes:-1},ambient:[0,0,0],probe:[],sun:[],sunShadow:[],sunShadowMap:[],sunShadowMatrix:[],sunShadowCascade:[],directional:[],directionalShadow:[],directionalShadowMap:[],directionalShadowMatrix:[],spot:[],spotLightMap:[],spotShadow:[],spotShadowMap:[],spotLightMatrix:[],rectArea:[],rectAreaLTC1:null,rectAreaLTC2:null,point:[],pointShadow:[],pointShadowMap:[],pointShadowMatrix:[],hemi:[],numSpotLightShadowsWithMaps:0,numLightProbes:0};for(let c=0;c<9;c++)n.probe.push(new Z);let s=new Z,r=new St,a=new St;function o(c){let u=0,d=0,h=0;for(let z=0;z<9;z++)n.probe[z].set(0,0,0);let f=0,g=0,b=0,m=0,p=0,x=0,A=0,S=0,R=0,E=0,v=0,T=0,B=0,F=0;c.sort(OM);for(let z=0,G=c.length;z<G;z++){let N=c[z],H=N.color,Y=N.intensity,W=N.distance,ce=null;if(N.shadow&&N.shadow.map&&(N.shadow.map.texture.format===Xs?ce=N.shadow.map.texture:ce=N.shadow.map.depthTexture||N.shadow.map.texture),N.isAmbientLight)u+=H.r*Y,d+=H.g*Y,h+=H.b*Y;else if(N.isLightProbe){for(let K=0;K<9;K++)n.probe[K].addScaledVector(N.sh.coefficients[K],Y);F++}else if(N.isSunLight){let K=e.get(N);if(K.color.copy(N.color).multiplyScalar(N.intensity),N.castShadow){let Q=N.shadow,se=t.get(N);se.shadowIntensity=Q.intensity,se.shadowBias=Q.bias,se.shadowNormalBias=Q.normalBias,se.shadowRadius=Q.radius,se.shadowMapSize.copy(Q.mapSize).multiply(Q.getFrameExtents()),n.sunShadow[g]=se,n.sunShadowMap[g]=ce;let de=Q.getViewportCount();for(let ue=0;ue<de;ue++)n.sunShadowMatrix[b+ue]=Q.getMatrix(ue),n.sunShadowCascade[b+ue]=Q._cascadeData[ue];b+=de,g++}n.sun[f]=K,f++}else if(N.isDirectionalLight){let K=e.get(N);if(K.color.copy(N.color).multiplyScalar(N.intensity),N.castShadow){let Q=N.shadow,se=t.get(N);se.shadowIntensity=Q.intensity,se.shadowBias=Q.bias,se.shadowNormalBias=Q.normalBias,se.shadowRadius=Q.radius,se.shadowMapSize=Q.mapSize,n.directionalShadow[m]=se,n.directionalShadowMap[m]=ce,n.directionalShadowMatrix[m]=N.shadow.matrix,R++}n.directional[m]=K,m++}else if(N.isSpotLight){let K=e.get(N);K.position.setFromMatrixPosition(N.matrixWorld),K.color.copy(H).multiplyScalar(Y),K.distance=W,K.coneCos=Math.cos(N.angle),K.penumbraCos=Math.cos(N.angle*(1-N.penumbra)),K.decay=N.decay,n.spot[x]=K;let Q=N.shadow;if(N.map&&(n.spotLightMap[T]=N.map,T++,Q.updateMatrices(N),N.castShadow&&B++),n.spotLightMatrix[x]=Q.matrix,N.castShadow){let se=t.get(N);se.shadowIntensity=Q.intensity,se.shadowBias=Q.bias,se.shadowNormalBias=Q.normalBias,se.shadowRadius=Q.radius,se.shadowMapSize=Q.mapSize,n.spotShadow[x]=se,n.spotShadowMap[x]=ce,v++}x++}else if(N.isRectAreaLight){let K=e.get(N);K.color.copy(H).multiplyScalar(Y),K.halfWidth.set(N.width*.5,0,0),K.halfHeight.set(0,N.height*.5,0),n.rectArea[A]=K,A++}else if(N.isPointLight){let K=e.get(N);if(K.color.copy(N.color).multiplyScalar(N.intensity),K.distance=N.distance,K.decay=N.decay,N.castShadow){let Q=N.shadow,se=t.get(N);se.shadowIntensity=Q.intensity,se.shadowBias=Q.bias,se.shadowNormalBias=Q.normalBias,se.shadowRadius=Q.radius,se.shadowMapSize=Q.mapSize,se.shadowCameraNear=Q.camera.near,se.shadowCameraFar=Q.camera.far,n.pointShadow[p]=se,n.pointShadowMap[p]=ce,n.pointShadowMatrix[p]=N.shadow.matrix,E++}n.point[p]=K,p++}else if(N.isHemisphereLight){let K=e.get(N);K.skyColor.copy(N.color).multiplyScalar(Y),K.groundColor.copy(N.groundColor).multiplyScalar(Y),n.hemi[S]=K,S++}}A>0&&(i.has("OES_texture_float_linear")===!0?(n.rectAreaLTC1=Le.LTC_FLOAT_1,n.rectAreaLTC2=Le.LTC_FLOAT_2):(n.rectAreaLTC1=Le.LTC_HALF_1,n.rectAreaLTC2=Le.LTC_HALF_2)),n.ambient[0]=u,n.ambient[1]=d,n.ambient[2]=h;let L=n.hash;(L.sunLength!==f||L.directionalLength!==m||L.pointLength!==p||L.spotLength!==x||L.rectAreaLength!==A||L.hemiLength!==S||L.numSunShadows!==g||L.numDirectionalShadows!==R||L.numPointShadows!==E||L.numSpotShadows!==v||L.numSpotMaps!==T||L.numLightProbes!==F)&&(n.sun.length=f,n.directional.length=m,n.spot.length=x,n.rectArea.length=A,n.point.length=p,n.hemi.length=S,n.sunShadow.length=g,n.sunShadowMap.length=g,n.sunShadowMatrix.length=b,n.sunShadowCascade.length=b,n.directionalShadow.length=R,n.directionalShadowMap.length=R,n.directionalShadowMatrix.length=R,n.pointShadow.length=E,n.pointShadowMap.length=E,n.pointShadowMatrix.length=E,n.spotShadow.length=v,n.spotShadowMap.length=v,n.spotLightMatrix.length=v+T-B,n.spotLightMap.length=T,n.numSpotLightShadowsWithMaps=B,n.numLightProbes=F,L.sunLength=f,L.directionalLength=m,L.pointLength=p,L.spotLength=x,L.rectAreaLength=A,L.hemiLength=S,L.numSunShadows=g,L.numDirectionalShadows=R,L.numPointShadows=E,L.numSpotShadows=v,L.numSpotMaps=T,L.numLightProbes=F,n.version=UM++)}function l(c,u){let d=0,h=0,f=0,g=0,b=0,m=0,p=u.matrixWorldInverse;for(let x=0,A=c.length;x<A;x++){let S=c[x];if(S.isSunLight){let R=n.sun[d];R.direction.setFromMatrixPosition(S.matrixWorld),R.direction.transformDirection(p),d++}else if(S.isDirectionalLight){let R=n.directional[h];R.direction.setFromMatrixPosition(S.matrixWorld),s.setFromMatrixPosition(S.target.matrixWorld),R.direction.sub(s),R.direction.transformDirection(p),h++}else if(S.isSpotLight){let R=n.spot[g];R.position.setFromMatrixPosition(S.matrixWorld),R.position.applyMatrix4(p),R.direction.setFromMatrixPosition(S.matrixWorld),s.setFromMatrixPosition(S.target.matrixWorld),R.direction.sub(s),R.direction.transformDirection(p),g++}else if(S.isRectAreaLight){let R=n.rectArea[b];R.position.setFromMatrixPosition(S.matrixWorld),R.position.applyMatrix4(p),a.identity(),r.copy(S.matrixWorld),r.premultiply(p),a.extractRotation(r),R.halfWidth.set(S.width*.5,0,0),R.halfHeight.set(0,S.height*.5,0),R.halfWidth.applyMatrix4(a),R.halfHeight.applyMatrix4(a),b++}else if(S.isPointLight){let R=n.point[f];R.position.setFromMatrixPosition(S.matrixWorld),R.position.applyMatrix4(p),f++}else if(S.isHemisphereLight){let R=n.hemi[m];R.direction.setFromMatrixPosition(S.matrixWorld),R.direction.transformDirection(p),m++}}}return{setup:o,setupView:l,state:n}}function Cg(i){let e=new BM(i),t=[],n=[],s=[];function r(d){u.camera=d,t.length=0,n.length=0,s.length=0}function a(d){d.isLightProbeGrid?s.push(d):t.push(d)}function o(d){n.push(d)}function l(){e.setup(t),s.sort((d,h)=>d.priority-h.priority||d.id-h.id)}function c(d){e.setupView(t,d)}let u={lightsArray:t,shadowsArray:n,lightProbeGridArray:s,camera:null,lights:e,transmissionRenderTarget:{},textureUnits:0};return{init:r,state:u,setupLights:l,setupLightsView:c,pushLight:a,pushShadow:o}}function kM(i){let e=new WeakMap;function t(s,r=0){let a=e.get(s),o;return a===void 0?(o=new Cg(i),e.set(s,[o])):r>=a.length?(o=new Cg(i),a.push(o)):o=a[r],o}function n(){e=new WeakMap}return{get:t,dispose:n}}var zM=`void main() {
	gl_Position = vec4( position, 1.0 );
}`,VM=`uniform sampler2D shadow_pass;
uniform vec2 resolution;
uniform float radius;
void main() {
	const float samples = float( VSM_SAMPLES );
	float mean = 0.0;
	float squared_mean = 0.0;
	float uvStride = samples <= 1.0 ? 0.0 : 2.0 / ( samples - 1.0 );
	float uvStart = samples <= 1.0 ? 0.0 : - 1.0;
	for ( float i = 0.0; i < samples; i ++ ) {
		float uvOffset = uvStart + i * uvStride;
		#ifdef HORIZONTAL_PASS
			vec2 distribution = texture2D( shadow_pass, ( gl_FragCoord.xy + vec2( uvOffset, 0.0 ) * radius ) / resolution ).rg;
			mean += distribution.x;
			squared_mean += distribution.y * distribution.y + distribution.x * distribution.x;
		#else
			float depth = texture2D( shadow_pass, ( gl_FragCoord.xy + vec2( 0.0, uvOffset ) * radius ) / resolution ).r;
			mean += depth;
			squared_mean += depth * depth;
		#endif
	}
	mean = mean / samples;
	squared_mean = squared_mean / samples;
	float std_dev = sqrt( max( 0.0, squared_mean - mean * mean ) );
	gl_FragColor = vec4( mean, std_dev, 0.0, 1.0 );
}`,GM=[new Z(1,0,0),new Z(-1,0,0),new Z(0,1,0),new Z(0,-1,0),new Z(0,0,1),new Z(0,0,-1)],HM=[new Z(0,-1,0),new Z(0,-1,0),new Z(0,0,1),new Z(0,0,-1),new Z(0,-1,0),new Z(0,-1,0)],Rg=new St,To=new Z,Md=new Z;function WM(i,e,t){let n=new zs,s=new pt,r=new pt,a=new $t,o=new Kl,l=new jl,c={},u=t.maxTextureSize,d={[Ws]:qn,[qn]:Ws,[Ki]:Ki},h=new jn({defines:{VSM_SAMPLES:8},uniforms:{shadow_pass:{value:null},resolution:{value:new pt},radius:{value:4}},vertexShader:zM,fragmentShader:VM}),f=h.clone();f.defines.HORIZONTAL_PASS=1;let g=new Jn;g.setAttribute("position",new Wn(new Float32Array([-1,-1,.5,3,-1,.5,-1,3,.5]),3));let b=new Kn(g,h),m=this;this.enabled=!1,this.autoUpdate=!0,this.needsUpdate=!1,this.type=go;let p=this.type;this.render=function(E,v,T){if(m.enabled===!1||m.autoUpdate===!1&&m.needsUpdate===!1||E.length===0)return;this.type===Mm&&($e("WebGLShadowMap: PCFSoftShadowMap has been removed. Using PCFShadowMap instead."),this.type=go);let B=i.getRenderTarget(),F=i.getActiveCubeFace(),L=i.getActiveMipmapLevel(),z=i.state;z.setBlending(cr),z.buffers.depth.getReversed()===!0?z.buffers.color.setClear(0,0,0,0):z.buffers.color.setClear(1,1,1,1),z.buffers.depth.setTest(!0),z.setScissorTest(!1);let G=p!==this.type;G&&v.traverse(function(N){N.material&&(Array.isArray(N.material)?N.material.forEach(H=>H.needsUpdate=!0):N.material.needsUpdate=!0)});for(let N=0,H=E.length;N<H;N++){let Y=E[N],W=Y.shadow;if(W===void 0){$e("WebGLShadowMap:",Y,"has no shadow.");continue}if(W.autoUpdate===!1&&W.needsUpdate===!1)continue;s.copy(W.mapSize);let ce=W.getFrameExtents();s.multiply(ce),r.copy(W.mapSize),(s.x>u||s.y>u)&&(s.x>u&&(r.x=Math.floor(u/ce.x),s.x=r.x*ce.x,W.mapSize.x=r.x),s.y>u&&(r.y=Math.floor(u/ce.y),s.y=r.y*ce.y,W.mapSize.y=r.y));let K=i.state.buffers.depth.getReversed();if(W.camera._reversedDepth=K,W.map===null||G===!0){if(W.map!==null&&(W.map.depthTexture!==null&&(W.map.depthTexture.dispose(),W.map.depthTexture=null),W.map.dispose()),this.type===ha){if(Y.isPointLight){$e("WebGLShadowMap: VSM shadow maps are not supported for PointLights. Use PCF or BasicShadowMap instead.");continue}W.map=new fi(s.x,s.y,{format:Xs,type:Oi,minFilter:Xn,magFilter:Xn,generateMipmaps:!1}),W.map.texture.name=Y.name+".shadowMap",W.map.depthTexture=new ys(s.x,s.y,wi),W.map.depthTexture.name=Y.name+".shadowMapDepth",W.map.depthTexture.format=gs,W.map.depthTexture.compareFunction=null,W.map.depthTexture.minFilter=Cn,W.map.depthTexture.magFilter=Cn}else Y.isPointLight?(W.map=new Ao(s.x),W.map.depthTexture=new so(s.x,Ui)):(W.map=new fi(s.x,s.y),W.map.depthTexture=new ys(s.x,s.y,Ui)),W.map.depthTexture.name=Y.name+".shadowMap",W.map.depthTexture.format=gs,this.type===go?(W.map.depthTexture.compareFunction=K?fd:dd,W.map.depthTexture.minFilter=Xn,W.map.depthTexture.magFilter=Xn):(W.map.depthTexture.compareFunction=null,W.map.depthTexture.minFilter=Cn,W.map.depthTexture.magFilter=Cn);W.camera.updateProjectionMatrix()}W.map.isWebGLCubeRenderTarget!==!0&&(W.map.width!==s.x||W.map.height!==s.y)&&W.map.setSize(s.x,s.y);let Q=W.map.isWebGLCubeRenderTarget?6:W.getViewportCount();Y.isPointLight!==!0&&W.updateMatrices(Y,T);let se=(W.camera.layers.mask&4294967294)!==0?W.camera.layers:T.layers;for(let de=0;de<Q;de++){let ue=W.getCamera(de);if(Y.isPointLight){let ee=W.camera,me=W.matrix,ve=Y.distance||ee.far;ve!==ee.far&&(ee.far=ve,ee.updateProjectionMatrix()),To.setFromMatrixPosition(Y.matrixWorld),ee.position.copy(To),Md.copy(ee.position),Md.add(GM[de]),ee.up.copy(HM[de]),ee.lookAt(Md),ee.updateMatrixWorld(),me.makeTranslation(-To.x,-To.y,-To.z),Rg.multiplyMatrices(ee.projectionMatrix,ee.matrixWorldInverse),W._frustum.setFromProjectionMatrix(Rg,ee.coordinateSystem,ee.reversedDepth)}if(W.map.isWebGLCubeRenderTarget)i.setRenderTarget(W.map,de),i.clear();else{de===0&&(i.setRenderTarget(W.map),i.clear());let ee=W.getViewport(de);a.set(r.x*ee.x,r.y*ee.y,r.x*ee.z,r.y*ee.w),z.viewport(a)}n=W.getFrustum(de),S(v,T,ue,Y,se,this.type)}W.isPointLightShadow!==!0&&this.type===ha&&x(W,T),W.needsUpdate=!1}p=this.type,m.needsUpdate=!1,i.setRenderTarget(B,F,L)};function x(E,v){let T=e.update(b);h.defines.VSM_SAMPLES!==E.blurSamples&&(h.defines.VSM_SAMPLES=E.blurSamples,f.defines.VSM_SAMPLES=E.blurSamples,h.needsUpdate=!0,f.needsUpdate=!0),E.mapPass===null?E.mapPass=new fi(s.x,s.y,{format:Xs,type:Oi}):(E.mapPass.width!==E.map.width||E.mapPass.height!==E.map.height)&&E.mapPass.setSize(E.map.width,E.map.height),h.uniforms.shadow_pass.value=E.map.depthTexture,h.uniforms.resolution.value.set(E.map.width,E.map.height),h.uniforms.radius.value=E.radius,i.setRenderTarget(E.mapPass),i.clear(),i.renderBufferDirect(v,null,T,h,b,null),f.uniforms.shadow_pass.value=E.mapPass.texture,f.uniforms.resolution.value.set(E.map.width,E.map.height),f.uniforms.radius.value=E.radius,i.setRenderTarget(E.map),i.clear(),i.renderBufferDirect(v,null,T,f,b,null)}function A(E,v,T,B){let F=null,L=T.isPointLight===!0?E.customDistanceMaterial:E.customDepthMaterial;if(L!==void 0)F=L;else if(F=T.isPointLight===!0?l:o,i.localClippingEnabled&&v.clipShadows===!0&&Array.isArray(v.clippingPlanes)&&v.clippingPlanes.length!==0||v.displacementMap&&v.displacementScale!==0||v.alphaMap&&v.alphaTest>0||v.map&&v.alphaTest>0||v.alphaToCoverage===!0){let z=F.uuid,G=v.uuid,N=c[z];N===void 0&&(N={},c[z]=N);let H=N[G];H===void 0&&(H=F.clone(),N[G]=H,v.addEventListener("dispose",R)),F=H}if(F.visible=v.visible,F.wireframe=v.wireframe,B===ha?F.side=v.shadowSide!==null?v.shadowSide:v.side:F.side=v.shadowSide!==null?v.shadowSide:d[v.side],F.alphaMap=v.alphaMap,F.alphaTest=v.alphaToCoverage===!0?.5:v.alphaTest,F.map=v.map,F.clipShadows=v.clipShadows,F.clippingPlanes=v.clippingPlanes,F.clipIntersection=v.clipIntersection,F.displacementMap=v.displacementMap,F.displacementScale=v.displacementScale,F.displacementBias=v.displacementBias,F.wireframeLinewidth=v.wireframeLinewidth,F.linewidth=v.linewidth,T.isPointLight===!0&&F.isMeshDistanceMaterial===!0){let z=i.properties.get(F);z.light=T}return F}function S(E,v,T,B,F,L){if(E.visible===!1)return;if(E.layers.test(F)&&(E.isMesh||E.isLine||E.isPoints)&&(E.castShadow||E.receiveShadow&&L===ha)&&(!E.frustumCulled||E.intersectsFrustum(n))){E.modelViewMatrix.multiplyMatrices(T.matrixWorldInverse,E.matrixWorld);let N=e.update(E),H=E.material;if(Array.isArray(H)){let Y=N.groups;for(let W=0,ce=Y.length;W<ce;W++){let K=Y[W],Q=H[K.materialIndex];if(Q&&Q.visible){let se=A(E,Q,B,L);E.onBeforeShadow(i,E,v,T,N,se,K),i.renderBufferDirect(T,null,N,se,E,K),E.onAfterShadow(i,E,v,T,N,se,K)}}}else if(H.visible){let Y=A(E,H,B,L);E.onBeforeShadow(i,E,v,T,N,Y,null),i.renderBufferDirect(T,null,N,Y,E,null),E.onAfterShadow(i,E,v,T,N,Y,null)}}let G=E.children;for(let N=0,H=G.length;N<H;N++)S(G[N],v,T,B,F,L)}function R(E){E.target.removeEventListener("dispose",R);for(let T in c){let B=c[T],F=E.target.uuid;F in B&&(B[F].dispose(),delete B[F])}}}function XM(i,e){function t(){let U=!1,re=new $t,ne=null,we=new $t(0,0,0,0);return{setMask:function(ge){ne!==ge&&!U&&(i.colorMask(ge,ge,ge,ge),ne=ge)},setLocked:function(ge){U=ge},setClear:function(ge,be,Ge,Ze,le){le===!0&&(ge*=Ze,be*=Ze,Ge*=Ze),re.set(ge,be,Ge,Ze),we.equals(re)===!1&&(i.clearColor(ge,be,Ge,Ze),we.copy(re))},reset:function(){U=!1,ne=null,we.set(-1,0,0,0)}}}function n(){let U=!1,re=!1,ne=null,we=null,ge=null;return{setReversed:function(be){if(re!==be){let Ge=e.get("EXT_clip_control");be?Ge.clipControlEXT(Ge.LOWER_LEFT_EXT,Ge.ZERO_TO_ONE_EXT):Ge.clipControlEXT(Ge.LOWER_LEFT_EXT,Ge.NEGATIVE_ONE_TO_ONE_EXT),re=be;let Ze=ge;ge=null,this.setClear(Ze)}},getReversed:function(){return re},setTest:function(be){be?Se(i.DEPTH_TEST):He(i.DEPTH_TEST)},setMask:function(be){ne!==be&&!U&&(i.depthMask(be),ne=be)},setFunc:function(be){if(re&&(be=ig[be]),we!==be){switch(be){case Dl:i.depthFunc(i.NEVER);break;case Fl:i.depthFunc(i.ALWAYS);break;case Ul:i.depthFunc(i.LESS);break;case ta:i.depthFunc(i.LEQUAL);break;case Ol:i.depthFunc(i.EQUAL);break;case Bl:i.depthFunc(i.GEQUAL);break;case kl:i.depthFunc(i.GREATER);break;case zl:i.depthFunc(i.NOTEQUAL);break;default:i.depthFunc(i.LEQUAL)}we=be}},setLocked:function(be){U=be},setClear:function(be){ge!==be&&(ge=be,re&&(be=1-be),i.clearDepth(be))},reset:function(){U=!1,ne=null,we=null,ge=null,re=!1}}}function s(){let U=!1,re=null,ne=null,we=null,ge=null,be=null,Ge=null,Ze=null,le=null;return{setTest:function(Oe){U||(Oe?Se(i.STENCIL_TEST):He(i.STENCIL_TEST))},setMask:function(Oe){re!==Oe&&!U&&(i.stencilMask(Oe),re=Oe)},setFunc:function(Oe,Je,Ce){(ne!==Oe||we!==Je||ge!==Ce)&&(i.stencilFunc(Oe,Je,Ce),ne=Oe,we=Je,ge=Ce)},setOp:function(Oe,Je,Ce){(be!==Oe||Ge!==Je||Ze!==Ce)&&(i.stencilOp(Oe,Je,Ce),be=Oe,Ge=Je,Ze=Ce)},setLocked:function(Oe){U=Oe},setClear:function(Oe){le!==Oe&&(i.clearStencil(Oe),le=Oe)},reset:function(){U=!1,re=null,ne=null,we=null,ge=null,be=null,Ge=null,Ze=null,le=null}}}let r=new t,a=new n,o=new s,l={},c=new WeakMap,u={},d={},h={},f=new WeakMap,g=[],b=null,m=!1,p=null,x=null,A=null,S=null,R=null,E=null,v=null,T=new st(0,0,0),B=0,F=!1,L=null,z=null,G=null,N=null,H=null,Y=i.getParameter(i.MAX_COMBINED_TEXTURE_IMAGE_UNITS),W=!1,ce=0,K=i.getParameter(i.VERSION);K.indexOf("WebGL")!==-1?(ce=parseFloat(/^WebGL (\d)/.exec(K)[1]),W=ce>=1):K.indexOf("OpenGL ES")!==-1&&(ce=parseFloat(/^OpenGL ES (\d)/.exec(K)[1]),W=ce>=2);let Q=null,se={},de=i.getParameter(i.SCISSOR_BOX),ue=i.getParameter(i.VIEWPORT),ee=new $t().fromArray(de),me=new $t().fromArray(ue);function ve(U,re,ne,we){let ge=new Uint8Array(4),be=i.createTexture();i.bindTexture(U,be),i.texParameteri(U,i.TEXTURE_MIN_FILTER,i.NEAREST),i.texParameteri(U,i.TEXTURE_MAG_FILTER,i.NEAREST);for(let Ge=0;Ge<ne;Ge++)U===i.TEXTURE_3D||U===i.TEXTURE_2D_ARRAY?i.texImage3D(re,0,i.RGBA,1,1,we,0,i.RGBA,i.UNSIGNED_BYTE,ge):i.texImage2D(re+Ge,0,i.RGBA,1,1,0,i.RGBA,i.UNSIGNED_BYTE,ge);return be}let Ae={};Ae[i.TEXTURE_2D]=ve(i.TEXTURE_2D,i.TEXTURE_2D,1),Ae[i.TEXTURE_CUBE_MAP]=ve(i.TEXTURE_CUBE_MAP,i.TEXTURE_CUBE_MAP_POSITIVE_X,6),Ae[i.TEXTURE_2D_ARRAY]=ve(i.TEXTURE_2D_ARRAY,i.TEXTURE_2D_ARRAY,1,1),Ae[i.TEXTURE_3D]=ve(i.TEXTURE_3D,i.TEXTURE_3D,1,1),r.setClear(0,0,0,1),a.setClear(1),o.setClear(0),Se(i.DEPTH_TEST),a.setFunc(ta),an(!1),Lt(Wu),Se(i.CULL_FACE),qt(cr);function Se(U){u[U]!==!0&&(i.enable(U),u[U]=!0)}function He(U){u[U]!==!1&&(i.disable(U),u[U]=!1)}function nt(U,re){return h[U]!==re?(i.bindFramebuffer(U,re),h[U]=re,U===i.DRAW_FRAMEBUFFER&&(h[i.FRAMEBUFFER]=re),U===i.FRAMEBUFFER&&(h[i.DRAW_FRAMEBUFFER]=re),!0):!1}function Ve(U,re){let ne=g,we=!1;if(U){ne=f.get(re),ne===void 0&&(ne=[],f.set(re,ne));let ge=U.textures;if(ne.length!==ge.length||ne[0]!==i.COLOR_ATTACHMENT0){for(let be=0,Ge=ge.length;be<Ge;be++)ne[be]=i.COLOR_ATTACHMENT0+be;ne.length=ge.length,we=!0}}else ne[0]!==i.BACK&&(ne[0]=i.BACK,we=!0);we&&i.drawBuffers(ne)}function ht(U){return b!==U?(i.useProgram(U),b=U,!0):!1}let at={[hr]:i.FUNC_ADD,[Tm]:i.FUNC_SUBTRACT,[Em]:i.FUNC_REVERSE_SUBTRACT};at[Am]=i.MIN,at[Cm]=i.MAX;let et={[Rm]:i.ZERO,[Pm]:i.ONE,[Im]:i.SRC_COLOR,[$u]:i.SRC_ALPHA,[Om]:i.SRC_ALPHA_SATURATE,[Fm]:i.DST_COLOR,[Nm]:i.DST_ALPHA,[Lm]:i.ONE_MINUS_SRC_COLOR,[Zu]:i.ONE_MINUS_SRC_ALPHA,[Um]:i.ONE_MINUS_DST_COLOR,[Dm]:i.ONE_MINUS_DST_ALPHA,[Bm]:i.CONSTANT_COLOR,[km]:i.ONE_MINUS_CONSTANT_COLOR,[zm]:i.CONSTANT_ALPHA,[Vm]:i.ONE_MINUS_CONSTANT_ALPHA};function qt(U,re,ne,we,ge,be,Ge,Ze,le,Oe){if(U===cr){m===!0&&(He(i.BLEND),m=!1);return}if(m===!1&&(Se(i.BLEND),m=!0),U!==wm){if(U!==p||Oe!==F){if((x!==hr||R!==hr)&&(i.blendEquation(i.FUNC_ADD),x=hr,R=hr),Oe)switch(U){case ua:i.blendFuncSeparate(i.ONE,i.ONE_MINUS_SRC_ALPHA,i.ONE,i.ONE_MINUS_SRC_ALPHA);break;case Xu:i.blendFunc(i.ONE,i.ONE);break;case qu:i.blendFuncSeparate(i.ZERO,i.ONE_MINUS_SRC_COLOR,i.ZERO,i.ONE);break;case Yu:i.blendFuncSeparate(i.DST_COLOR,i.ONE_MINUS_SRC_ALPHA,i.ZERO,i.ONE);break;default:je("WebGLState: Invalid blending: ",U);break}else switch(U){case ua:i.blendFuncSeparate(i.SRC_ALPHA,i.ONE_MINUS_SRC_ALPHA,i.ONE,i.ONE_MINUS_SRC_ALPHA);break;case Xu:i.blendFuncSeparate(i.SRC_ALPHA,i.ONE,i.ONE,i.ONE);break;case qu:je("WebGLState: SubtractiveBlending requires material.premultipliedAlpha = true");break;case Yu:je("WebGLState: MultiplyBlending requires material.premultipliedAlpha = true");break;default:je("WebGLState: Invalid blending: ",U);break}A=null,S=null,E=null,v=null,T.set(0,0,0),B=0,p=U,F=Oe}return}ge=ge||re,be=be||ne,Ge=Ge||we,(re!==x||ge!==R)&&(i.blendEquationSeparate(at[re],at[ge]),x=re,R=ge),(ne!==A||we!==S||be!==E||Ge!==v)&&(i.blendFuncSeparate(et[ne],et[we],et[be],et[Ge]),A=ne,S=we,E=be,v=Ge),(Ze.equals(T)===!1||le!==B)&&(i.blendColor(Ze.r,Ze.g,Ze.b,le),T.copy(Ze),B=le),p=U,F=!1}function Ot(U,re){U.side===Ki?He(i.CULL_FACE):Se(i.CULL_FACE);let ne=U.side===qn;re&&(ne=!ne),an(ne),U.blending===ua&&U.transparent===!1?qt(cr):qt(U.blending,U.blendEquation,U.blendSrc,U.blendDst,U.blendEquationAlpha,U.blendSrcAlpha,U.blendDstAlpha,U.blendColor,U.blendAlpha,U.premultipliedAlpha),a.setFunc(U.depthFunc),a.setTest(U.depthTest),a.setMask(U.depthWrite),r.setMask(U.colorWrite);let we=U.stencilWrite;o.setTest(we),we&&(o.setMask(U.stencilWriteMask),o.setFunc(U.stencilFunc,U.stencilRef,U.stencilFuncMask),o.setOp(U.stencilFail,U.stencilZFail,U.stencilZPass)),yt(U.polygonOffset,U.polygonOffsetFactor,U.polygonOffsetUnits),U.alphaToCoverage===!0?Se(i.SAMPLE_ALPHA_TO_COVERAGE):He(i.SAMPLE_ALPHA_TO_COVERAGE)}function an(U){L!==U&&(U?i.frontFace(i.CW):i.frontFace(i.CCW),L=U)}function Lt(U){U!==bm?(Se(i.CULL_FACE),U!==z&&(U===Wu?i.cullFace(i.BACK):U===Sm?i.cullFace(i.FRONT):i.cullFace(i.FRONT_AND_BACK))):He(i.CULL_FACE),z=U}function bn(U){U!==G&&(W&&i.lineWidth(U),G=U)}function yt(U,re,ne){U?(Se(i.POLYGON_OFFSET_FILL),(N!==re||H!==ne)&&(N=re,H=ne,a.getReversed()&&(re=-re,ne=-ne),i.polygonOffset(re,ne))):He(i.POLYGON_OFFSET_FILL)}function pn(U){U?Se(i.SCISSOR_TEST):He(i.SCISSOR_TEST)}function Jt(U){U===void 0&&(U=i.TEXTURE0+Y-1),Q!==U&&(i.activeTexture(U),Q=U)}function on(U,re,ne){ne===void 0&&(Q===null?ne=i.TEXTURE0+Y-1:ne=Q);let we=se[ne];we===void 0&&(we={type:void 0,texture:void 0},se[ne]=we),(we.type!==U||we.texture!==re)&&(Q!==ne&&(i.activeTexture(ne),Q=ne),i.bindTexture(U,re||Ae[U]),we.type=U,we.texture=re)}function O(){let U=se[Q];U!==void 0&&U.type!==void 0&&(i.bindTexture(U.type,null),U.type=void 0,U.texture=void 0)}function Re(){try{i.compressedTexImage2D(...arguments)}catch(U){je("WebGLState:",U)}}function qe(){try{i.compressedTexImage3D(...arguments)}catch(U){je("WebGLState:",U)}}function it(){try{i.texSubImage2D(...arguments)}catch(U){je("WebGLState:",U)}}function Me(){try{i.texSubImage3D(...arguments)}catch(U){je("WebGLState:",U)}}function Dt(){try{i.compressedTexSubImage2D(...arguments)}catch(U){je("WebGLState:",U)}}function ze(){try{i.compressedTexSubImage3D(...arguments)}catch(U){je("WebGLState:",U)}}function Xe(){try{i.texStorage2D(...arguments)}catch(U){je("WebGLState:",U)}}function P(){try{i.texStorage3D(...arguments)}catch(U){je("WebGLState:",U)}}function y(){try{i.texImage2D(...arguments)}catch(U){je("WebGLState:",U)}}function X(){try{i.texImage3D(...arguments)}catch(U){je("WebGLState:",U)}}function he(U){return d[U]!==void 0?d[U]:i.getParameter(U)}function ae(U,re){d[U]!==re&&(i.pixelStorei(U,re),d[U]=re)}function _e(U){ee.equals(U)===!1&&(i.scissor(U.x,U.y,U.z,U.w),ee.copy(U))}function xe(U){me.equals(U)===!1&&(i.viewport(U.x,U.y,U.z,U.w),me.copy(U))}function te(U,re){let ne=c.get(re);ne===void 0&&(ne=new WeakMap,c.set(re,ne));let we=ne.get(U);we===void 0&&(we=i.getUniformBlockIndex(re,U.name),i.uniformBlockBinding(re,we,we),ne.set(U,we))}function ie(U,re,ne){let ge=c.get(re).get(U);l[ge]!==ne&&(i.bindBufferBase(i.UNIFORM_BUFFER,ge,ne),l[ge]=ne)}function pe(){i.disable(i.BLEND),i.disable(i.CULL_FACE),i.disable(i.DEPTH_TEST),i.disable(i.POLYGON_OFFSET_FILL),i.disable(i.SCISSOR_TEST),i.disable(i.STENCIL_TEST),i.disable(i.SAMPLE_ALPHA_TO_COVERAGE),i.blendEquation(i.FUNC_ADD),i.blendFunc(i.ONE,i.ZERO),i.blendFuncSeparate(i.ONE,i.ZERO,i.ONE,i.ZERO),i.blendColor(0,0,0,0),i.colorMask(!0,!0,!0,!0),i.clearColor(0,0,0,0),i.depthMask(!0),i.depthFunc(i.LESS),a.setReversed(!1),i.clearDepth(1),i.stencilMask(4294967295),i.stencilFunc(i.ALWAYS,0,4294967295),i.stencilOp(i.KEEP,i.KEEP,i.KEEP),i.clearStencil(0),i.cullFace(i.BACK),i.frontFace(i.CCW),i.polygonOffset(0,0),i.activeTexture(i.TEXTURE0),i.bindFramebuffer(i.FRAMEBUFFER,null),i.bindFramebuffer(i.DRAW_FRAMEBUFFER,null),i.bindFramebuffer(i.READ_FRAMEBUFFER,null),i.useProgram(null),i.lineWidth(1),i.scissor(0,0,i.canvas.width,i.canvas.height),i.viewport(0,0,i.canvas.width,i.canvas.height),i.pixelStorei(i.PACK_ALIGNMENT,4),i.pixelStorei(i.UNPACK_ALIGNMENT,4),i.pixelStorei(i.UNPACK_FLIP_Y_WEBGL,!1),i.pixelStorei(i.UNPACK_PREMULTIPLY_ALPHA_WEBGL,!1),i.pixelStorei(i.UNPACK_COLORSPACE_CONVERSION_WEBGL,i.BROWSER_DEFAULT_WEBGL),i.pixelStorei(i.PACK_ROW_LENGTH,0),i.pixelStorei(i.PACK_SKIP_PIXELS,0),i.pixelStorei(i.PACK_SKIP_ROWS,0),i.pixelStorei(i.UNPACK_ROW_LENGTH,0),i.pixelStorei(i.UNPACK_IMAGE_HEIGHT,0),i.pixelStorei(i.UNPACK_SKIP_PIXELS,0),i.pixelStorei(i.UNPACK_SKIP_ROWS,0),i.pixelStorei(i.UNPACK_SKIP_IMAGES,0),u={},d={},Q=null,se={},h={},l={},f=new WeakMap,g=[],b=null,m=!1,p=null,x=null,A=null,S=null,R=null,E=null,v=null,T=new st(0,0,0),B=0,F=!1,L=null,z=null,G=null,N=null,H=null,ee.set(0,0,i.canvas.width,i.canvas.height),me.set(0,0,i.canvas.width,i.canvas.height),r.reset(),a.reset(),o.reset()}return{buffers:{color:r,depth:a,stencil:o},enable:Se,disable:He,bindFramebuffer:nt,drawBuffers:Ve,useProgram:ht,setBlending:qt,setMaterial:Ot,setFlipSided:an,setCullFace:Lt,setLineWidth:bn,setPolygonOffset:yt,setScissorTest:pn,activeTexture:Jt,bindTexture:on,unbindTexture:O,compressedTexImage2D:Re,compressedTexImage3D:qe,texImage2D:y,texImage3D:X,pixelStorei:ae,getParameter:he,updateUBOMapping:te,uniformBlockBinding:ie,texStorage2D:Xe,texStorage3D:P,texSubImage2D:it,texSubImage3D:Me,compressedTexSubImage2D:Dt,compressedTexSubImage3D:ze,scissor:_e,viewport:xe,reset:pe}}function qM(i,e,t,n,s,r,a){let o=e.has("WEBGL_multisampled_render_to_texture")?e.get("WEBGL_multisampled_render_to_texture"):null,l=typeof navigator>"u"?!1:/OculusBrowser/g.test(navigator.userAgent),c=new pt,u=new WeakMap,d=new Set,h,f=new WeakMap,g=new Set,b=new FinalizationRegistry(P=>g.delete(P)),m=!1;try{m=typeof OffscreenCanvas<"u"&&new OffscreenCanvas(1,1).getContext("2d")!==null}catch{}function p(P,y){return m?new OffscreenCanvas(P,y):$a("canvas")}function x(P,y,X){let he=1,ae=Xe(P);if((ae.width>X||ae.height>X)&&(he=X/Math.max(ae.width,ae.height)),he<1)if(typeof HTMLImageElement<"u"&&P instanceof HTMLImageElement||typeof HTMLCanvasElement<"u"&&P instanceof HTMLCanvasElement||typeof ImageBitmap<"u"&&P instanceof ImageBitmap||typeof VideoFrame<"u"&&P instanceof VideoFrame){let _e=Math.floor(he*ae.width),xe=Math.floor(he*ae.height);h===void 0&&(h=p(_e,xe));let te=y?p(_e,xe):h;return te.width=_e,te.height=xe,te.getContext("2d").drawImage(P,0,0,_e,xe),$e("WebGLRenderer: Texture has been resized from ("+ae.width+"x"+ae.height+") to ("+_e+"x"+xe+")."),te}else return"data"in P&&$e("WebGLRenderer: Image in DataTexture is too big ("+ae.width+"x"+ae.height+")."),P;return P}function A(P){return P.generateMipmaps}function S(P){i.generateMipmap(P)}function R(P){return P.isWebGLCubeRenderTarget?i.TEXTURE_CUBE_MAP:P.isWebGL3DRenderTarget?i.TEXTURE_3D:P.isWebGLArrayRenderTarget||P.isCompressedArrayTexture?i.TEXTURE_2D_ARRAY:i.TEXTURE_2D}function E(P,y,X,he,ae,_e=!1){if(P!==null){if(i[P]!==void 0)return i[P];$e("WebGLRenderer: Attempt to use non-existing WebGL internal format '"+P+"'")}let xe;he&&(xe=e.get("EXT_texture_norm16"),xe||$e("WebGLRenderer: Unable to use normalized textures without EXT_texture_norm16 extension"));let te=y;if(y===i.RED&&(X===i.FLOAT&&(te=i.R32F),X===i.HALF_FLOAT&&(te=i.R16F),X===i.UNSIGNED_BYTE&&(te=i.R8),X===i.UNSIGNED_SHORT&&xe&&(te=xe.R16_EXT),X===i.SHORT&&xe&&(te=xe.R16_SNORM_EXT)),y===i.RED_INTEGER&&(X===i.UNSIGNED_BYTE&&(te=i.R8UI),X===i.UNSIGNED_SHORT&&(te=i.R16UI),X===i.UNSIGNED_INT&&(te=i.R32UI),X===i.BYTE&&(te=i.R8I),X===i.SHORT&&(te=i.R16I),X===i.INT&&(te=i.R32I)),y===i.RG&&(X===i.FLOAT&&(te=i.RG32F),X===i.HALF_FLOAT&&(te=i.RG16F),X===i.UNSIGNED_BYTE&&(te=i.RG8),X===i.UNSIGNED_SHORT&&xe&&(te=xe.RG16_EXT),X===i.SHORT&&xe&&(te=xe.RG16_SNORM_EXT)),y===i.RG_INTEGER&&(X===i.UNSIGNED_BYTE&&(te=i.RG8UI),X===i.UNSIGNED_SHORT&&(te=i.RG16UI),X===i.UNSIGNED_INT&&(te=i.RG32UI),X===i.BYTE&&(te=i.RG8I),X===i.SHORT&&(te=i.RG16I),X===i.INT&&(te=i.RG32I)),y===i.RGB_INTEGER&&(X===i.UNSIGNED_BYTE&&(te=i.RGB8UI),X===i.UNSIGNED_SHORT&&(te=i.RGB16UI),X===i.UNSIGNED_INT&&(te=i.RGB32UI),X===i.BYTE&&(te=i.RGB8I),X===i.SHORT&&(te=i.RGB16I),X===i.INT&&(te=i.RGB32I)),y===i.RGBA_INTEGER&&(X===i.UNSIGNED_BYTE&&(te=i.RGBA8UI),X===i.UNSIGNED_SHORT&&(te=i.RGBA16UI),X===i.UNSIGNED_INT&&(te=i.RGBA32UI),X===i.BYTE&&(te=i.RGBA8I),X===i.SHORT&&(te=i.RGBA16I),X===i.INT&&(te=i.RGBA32I)),y===i.RGB&&(X===i.UNSIGNED_SHORT&&xe&&(te=xe.RGB16_EXT),X===i.SHORT&&xe&&(te=xe.RGB16_SNORM_EXT),X===i.UNSIGNED_INT_5_9_9_9_REV&&(te=i.RGB9_E5),X===i.UNSIGNED_INT_10F_11F_11F_REV&&(te=i.R11F_G11F_B10F)),y===i.RGBA){let ie=_e?Ya:vt.getTransfer(ae);X===i.FLOAT&&(te=i.RGBA32F),X===i.HALF_FLOAT&&(te=i.RGBA16F),X===i.UNSIGNED_BYTE&&(te=ie===Ct?i.SRGB8_ALPHA8:i.RGBA8),X===i.UNSIGNED_SHORT&&xe&&(te=xe.RGBA16_EXT),X===i.SHORT&&xe&&(te=xe.RGBA16_SNORM_EXT),X===i.UNSIGNED_SHORT_4_4_4_4&&(te=i.RGBA4),X===i.UNSIGNED_SHORT_5_5_5_1&&(te=i.RGB5_A1)}return(te===i.R16F||te===i.R32F||te===i.RG16F||te===i.RG32F||te===i.RGBA16F||te===i.RGBA32F)&&e.get("EXT_color_buffer_float"),te}function v(P,y){let X;return P?y===null||y===Ui||y===dr?X=i.DEPTH24_STENCIL8:y===wi?X=i.DEPTH32F_STENCIL8:y===fa&&(X=i.DEPTH24_STENCIL8,$e("DepthTexture: 16 bit depth attachment is not supported with stencil. Using 24-bit attachment.")):y===null||y===Ui||y===dr?X=i.DEPTH_COMPONENT24:y===wi?X=i.DEPTH_COMPONENT32F:y===fa&&(X=i.DEPTH_COMPONENT16),X}function T(P,y){return A(P)===!0||P.isFramebufferTexture&&P.minFilter!==Cn&&P.minFilter!==Xn?Math.log2(Math.max(y.width,y.height))+1:P.mipmaps.length>0?P.mipmaps.length:P.isCompressedTexture&&Array.isArray(P.image)?y.mipmaps.length:1}function B(P){let y=new WeakRef(P);n.get(P).__ref=y,g.add(y),b.register(P,y,y)}function F(P){let y=n.get(P).__ref;y!==void 0&&(g.delete(y),b.unregister(y))}function L(P){G(P.target)}function z(P){N(P.target)}function G(P){P.removeEventListener("dispose",L),F(P),Y(P),P.isVideoTexture&&u.delete(P),P.isHTMLTexture&&d.delete(P)}function N(P){P.removeEventListener("dispose",z),F(P),ce(P)}function H(){for(let P of g){let y=P.deref();y!==void 0&&(y.isRenderTarget===!0?N(y):G(y))}g.clear(),d.clear()}function Y(P){let y=n.get(P);if(y.__webglInit===void 0)return;let X=P.source,he=f.get(X);if(he){let ae=he[y.__cacheKey];ae.usedTimes--,ae.usedTimes===0&&W(P),Object.keys(he).length===0&&f.delete(X)}n.remove(P)}function W(P){let y=n.get(P);i.deleteTexture(y.__webglTexture);let X=P.source,he=f.get(X);delete he[y.__cacheKey],a.memory.textures--}function ce(P){let y=n.get(P);y.__depthDisposeCallback&&y.__depthDisposeCallback();let X=P.depthTexture;if(X&&X.renderTarget===P&&G(X),P.isWebGLCubeRenderTarget)for(let ae=0;ae<6;ae++){if(Array.isArray(y.__webglFramebuffer[ae]))for(let _e=0;_e<y.__webglFramebuffer[ae].length;_e++)i.deleteFramebuffer(y.__webglFramebuffer[ae][_e]);else i.deleteFramebuffer(y.__webglFramebuffer[ae]);y.__webglDepthbuffer&&i.deleteRenderbuffer(y.__webglDepthbuffer[ae])}else{if(Array.isArray(y.__webglFramebuffer))for(let ae=0;ae<y.__webglFramebuffer.length;ae++)i.deleteFramebuffer(y.__webglFramebuffer[ae]);else i.deleteFramebuffer(y.__webglFramebuffer);if(y.__webglDepthbuffer&&i.deleteRenderbuffer(y.__webglDepthbuffer),y.__webglMultisampledFramebuffer&&i.deleteFramebuffer(y.__webglMultisampledFramebuffer),y.__webglColorRenderbuffer)for(let ae=0;ae<y.__webglColorRenderbuffer.length;ae++)y.__webglColorRenderbuffer[ae]&&i.deleteRenderbuffer(y.__webglColorRenderbuffer[ae]);y.__webglDepthRenderbuffer&&i.deleteRenderbuffer(y.__webglDepthRenderbuffer)}let he=P.textures;for(let ae=0,_e=he.length;ae<_e;ae++){let xe=n.get(he[ae]);xe.__webglTexture&&(i.deleteTexture(xe.__webglTexture),a.memory.textures--),n.remove(he[ae])}n.remove(P)}let K=0;function Q(){K=0}function se(){return K}function de(P){K=P}function ue(){let P=K;return P>=s.maxTextures&&$e("WebGLTextures: Trying to use "+(P+1)+" texture units while this GPU supports only "+s.maxTextures),K+=1,P}function ee(P){let y=[];return y.push(P.wrapS),y.push(P.wrapT),y.push(P.wrapR||0),y.push(P.magFilter),y.push(P.minFilter),y.push(P.anisotropy),y.push(P.internalFormat),y.push(P.format),y.push(P.type),y.push(P.generateMipmaps),y.push(P.mipmapsAutoUpdate),y.push(P.premultiplyAlpha),y.push(P.flipY),y.push(P.unpackAlignment),y.push(P.colorSpace),y.join()}function me(P,y){let X=n.get(P);if(P.isVideoTexture&&Dt(P),P.isRenderTargetTexture===!1&&P.isExternalTexture!==!0&&P.version>0&&X.__version!==P.version){let he=P.image;if(he===null)$e("WebGLRenderer: Texture marked for update but no image data found.");else if(he.complete===!1)$e("WebGLRenderer: Texture marked for update but image is incomplete");else{Ot(X,P,y);return}}else P.isExternalTexture&&(X.__webglTexture=P.sourceTexture?P.sourceTexture:null);t.bindTexture(i.TEXTURE_2D,X.__webglTexture,i.TEXTURE0+y)}function ve(P,y){let X=n.get(P);if(P.isRenderTargetTexture===!1&&P.version>0&&X.__version!==P.version){Ot(X,P,y);return}else P.isExternalTexture&&(X.__webglTexture=P.sourceTexture?P.sourceTexture:null);t.bindTexture(i.TEXTURE_2D_ARRAY,X.__webglTexture,i.TEXTURE0+y)}function Ae(P,y){let X=n.get(P);if(P.isRenderTargetTexture===!1&&P.version>0&&X.__version!==P.version){Ot(X,P,y);return}t.bindTexture(i.TEXTURE_3D,X.__webglTexture,i.TEXTURE0+y)}function Se(P,y){let X=n.get(P);if(P.version>0&&X.__version!==P.version){an(X,P,y);return}t.bindTexture(i.TEXTURE_CUBE_MAP,X.__webglTexture,i.TEXTURE0+y)}let He={[Vl]:i.REPEAT,[$i]:i.CLAMP_TO_EDGE,[Gl]:i.MIRRORED_REPEAT},nt={[Cn]:i.NEAREST,[Wm]:i.NEAREST_MIPMAP_NEAREST,[_o]:i.NEAREST_MIPMAP_LINEAR,[Xn]:i.LINEAR,[pc]:i.LINEAR_MIPMAP_NEAREST,[bs]:i.LINEAR_MIPMAP_LINEAR},Ve={[$m]:i.NEVER,[pd]:i.ALWAYS,[Zm]:i.LESS,[dd]:i.LEQUAL,[Jm]:i.EQUAL,[fd]:i.GEQUAL,[Km]:i.GREATER,[jm]:i.NOTEQUAL};function ht(P,y){if(y.type===wi&&e.has("OES_texture_float_linear")===!1&&(y.magFilter===Xn||y.magFilter===pc||y.magFilter===_o||y.magFilter===bs||y.minFilter===Xn||y.minFilter===pc||y.minFilter===_o||y.minFilter===bs)&&$e("WebGLRenderer: Unable to use linear filtering with floating point textures. OES_texture_float_linear not supported on this device."),i.texParameteri(P,i.TEXTURE_WRAP_S,He[y.wrapS]),i.texParameteri(P,i.TEXTURE_WRAP_T,He[y.wrapT]),(P===i.TEXTURE_3D||P===i.TEXTURE_2D_ARRAY)&&i.texParameteri(P,i.TEXTURE_WRAP_R,He[y.wrapR]),i.texParameteri(P,i.TEXTURE_MAG_FILTER,nt[y.magFilter]),i.texParameteri(P,i.TEXTURE_MIN_FILTER,nt[y.minFilter]),y.compareFunction&&(i.texParameteri(P,i.TEXTURE_COMPARE_MODE,i.COMPARE_REF_TO_TEXTURE),i.texParameteri(P,i.TEXTURE_COMPARE_FUNC,Ve[y.compareFunction])),e.has("EXT_texture_filter_anisotropic")===!0){if(y.magFilter===Cn||y.minFilter!==_o&&y.minFilter!==bs||y.type===wi&&e.has("OES_texture_float_linear")===!1)return;if(y.anisotropy>1||n.get(y).__currentAnisotropy){let X=e.get("EXT_texture_filter_anisotropic");i.texParameterf(P,X.TEXTURE_MAX_ANISOTROPY_EXT,Math.min(y.anisotropy,s.getMaxAnisotropy())),n.get(y).__currentAnisotropy=y.anisotropy}}}function at(P,y){let X=!1;P.__webglInit===void 0&&(P.__webglInit=!0,y.addEventListener("dispose",L),B(y));let he=y.source,ae=f.get(he);ae===void 0&&(ae={},f.set(he,ae));let _e=ee(y);if(_e!==P.__cacheKey){ae[_e]===void 0&&(ae[_e]={texture:i.createTexture(),usedTimes:0},a.memory.textures++,X=!0),ae[_e].usedTimes++;let xe=ae[P.__cacheKey];xe!==void 0&&(ae[P.__cacheKey].usedTimes--,xe.usedTimes===0&&W(y)),P.__cacheKey=_e,P.__webglTexture=ae[_e].texture}return X}function et(P,y,X){return Math.floor(Math.floor(P/X)/y)}function qt(P,y,X,he){let _e=P.updateRanges;if(_e.length===0)t.texSubImage2D(i.TEXTURE_2D,0,0,0,y.width,y.height,X,he,y.data);else{_e.sort((U,re)=>U.start-re.start);let xe=0;for(let U=1;U<_e.length;U++){let re=_e[xe],ne=_e[U],we=re.start+re.count,ge=et(ne.start,y.width,4),be=et(re.start,y.width,4);ne.start<=we+1&&ge===be&&et(ne.start+ne.count-1,y.width,4)===ge?re.count=Math.max(re.count,ne.start+ne.count-re.start):(++xe,_e[xe]=ne)}_e.length=xe+1;let te=t.getParameter(i.UNPACK_ROW_LENGTH),ie=t.getParameter(i.UNPACK_SKIP_PIXELS),pe=t.getParameter(i.UNPACK_SKIP_ROWS);t.pixelStorei(i.UNPACK_ROW_LENGTH,y.width);for(let U=0,re=_e.length;U<re;U++){let ne=_e[U],we=Math.floor(ne.start/4),ge=Math.ceil(ne.count/4),be=we%y.width,Ge=Math.floor(we/y.width),Ze=ge,le=1;t.pixelStorei(i.UNPACK_SKIP_PIXELS,be),t.pixelStorei(i.UNPACK_SKIP_ROWS,Ge),t.texSubImage2D(i.TEXTURE_2D,0,be,Ge,Ze,le,X,he,y.data)}P.clearUpdateRanges(),t.pixelStorei(i.UNPACK_ROW_LENGTH,te),t.pixelStorei(i.UNPACK_SKIP_PIXELS,ie),t.pixelStorei(i.UNPACK_SKIP_ROWS,pe)}}function Ot(P,y,X){let he=i.TEXTURE_2D;(y.isDataArrayTexture||y.isCompressedArrayTexture)&&(he=i.TEXTURE_2D_ARRAY),y.isData3DTexture&&(he=i.TEXTURE_3D);let ae=at(P,y),_e=y.source;t.bindTexture(he,P.__webglTexture,i.TEXTURE0+X);let xe=n.get(_e);if(_e.version!==xe.__version||ae===!0){if(t.activeTexture(i.TEXTURE0+X),(typeof ImageBitmap<"u"&&y.image instanceof ImageBitmap)===!1){let le=vt.getPrimaries(vt.workingColorSpace),Oe=y.colorSpace===Ms?null:vt.getPrimaries(y.colorSpace),Je=y.colorSpace===Ms||le===Oe?i.NONE:i.BROWSER_DEFAULT_WEBGL;t.pixelStorei(i.UNPACK_FLIP_Y_WEBGL,y.flipY),t.pixelStorei(i.UNPACK_PREMULTIPLY_ALPHA_WEBGL,y.premultiplyAlpha),t.pixelStorei(i.UNPACK_COLORSPACE_CONVERSION_WEBGL,Je)}t.pixelStorei(i.UNPACK_ALIGNMENT,y.unpackAlignment);let ie=x(y.image,!1,s.maxTextureSize);ie=ze(y,ie);let pe=r.convert(y.format,y.colorSpace),U=r.convert(y.type),re=E(y.internalFormat,pe,U,y.normalized,y.colorSpace,y.isVideoTexture);ht(he,y);let ne,we=y.mipmaps,ge=y.isVideoTexture!==!0,be=xe.__version===void 0||ae===!0,Ge=_e.dataReady,Ze=T(y,ie);if(y.isDepthTexture)re=v(y.format===Ss,y.type),be&&(ge?t.texStorage2D(i.TEXTURE_2D,1,re,ie.width,ie.height):t.texImage2D(i.TEXTURE_2D,0,re,ie.width,ie.height,0,pe,U,null));else if(y.isDataTexture)if(we.length>0){ge&&be&&t.texStorage2D(i.TEXTURE_2D,Ze,re,we[0].width,we[0].height);for(let le=0,Oe=we.length;le<Oe;le++)ne=we[le],ge?Ge&&t.texSubImage2D(i.TEXTURE_2D,le,0,0,ne.width,ne.height,pe,U,ne.data):t.texImage2D(i.TEXTURE_2D,le,re,ne.width,ne.height,0,pe,U,ne.data);y.generateMipmaps=!1}else ge?(be&&t.texStorage2D(i.TEXTURE_2D,Ze,re,ie.width,ie.height),Ge&&qt(y,ie,pe,U)):t.texImage2D(i.TEXTURE_2D,0,re,ie.width,ie.height,0,pe,U,ie.data);else if(y.isCompressedTexture)if(y.isCompressedArrayTexture){ge&&be&&t.texStorage3D(i.TEXTURE_2D_ARRAY,Ze,re,we[0].width,we[0].height,ie.depth);for(let le=0,Oe=we.length;le<Oe;le++)if(ne=we[le],y.format!==Bi)if(pe!==null)if(ge){if(Ge)if(y.layerUpdates.size>0){let Je=bd(ne.width,ne.height,y.format,y.type);for(let Ce of y.layerUpdates){let rt=ne.data.subarray(Ce*Je/ne.data.BYTES_PER_ELEMENT,(Ce+1)*Je/ne.data.BYTES_PER_ELEMENT);t.compressedTexSubImage3D(i.TEXTURE_2D_ARRAY,le,0,0,Ce,ne.width,ne.height,1,pe,rt)}}else t.compressedTexSubImage3D(i.TEXTURE_2D_ARRAY,le,0,0,0,ne.width,ne.height,ie.depth,pe,ne.data)}else t.compressedTexImage3D(i.TEXTURE_2D_ARRAY,le,re,ne.width,ne.height,ie.depth,0,ne.data,0,0);else $e("WebGLRenderer: Attempt to load unsupported compressed texture format in .uploadTexture()");else ge?Ge&&t.texSubImage3D(i.TEXTURE_2D_ARRAY,le,0,0,0,ne.width,ne.height,ie.depth,pe,U,ne.data):t.texImage3D(i.TEXTURE_2D_ARRAY,le,re,ne.width,ne.height,ie.depth,0,pe,U,ne.data);y.layerUpdates.size>0&&y.clearLayerUpdates()}else{ge&&be&&t.texStorage2D(i.TEXTURE_2D,Ze,re,we[0].width,we[0].height);for(let le=0,Oe=we.length;le<Oe;le++)ne=we[le],y.format!==Bi?pe!==null?ge?Ge&&t.compressedTexSubImage2D(i.TEXTURE_2D,le,0,0,ne.width,ne.height,pe,ne.data):t.compressedTexImage2D(i.TEXTURE_2D,le,re,ne.width,ne.height,0,ne.data):$e("WebGLRenderer: Attempt to load unsupported compressed texture format in .uploadTexture()"):ge?Ge&&t.texSubImage2D(i.TEXTURE_2D,le,0,0,ne.width,ne.height,pe,U,ne.data):t.texImage2D(i.TEXTURE_2D,le,re,ne.width,ne.height,0,pe,U,ne.data)}else if(y.isDataArrayTexture)if(ge){if(be&&t.texStorage3D(i.TEXTURE_2D_ARRAY,Ze,re,ie.width,ie.height,ie.depth),Ge)if(y.layerUpdates.size>0){let le=bd(ie.width,ie.height,y.format,y.type);for(let Oe of y.layerUpdates){let Je=ie.data.subarray(Oe*le/ie.data.BYTES_PER_ELEMENT,(Oe+1)*le/ie.data.BYTES_PER_ELEMENT);t.texSubImage3D(i.TEXTURE_2D_ARRAY,0,0,0,Oe,ie.width,ie.height,1,pe,U,Je)}y.clearLayerUpdates()}else t.texSubImage3D(i.TEXTURE_2D_ARRAY,0,0,0,0,ie.width,ie.height,ie.depth,pe,U,ie.data)}else t.texImage3D(i.TEXTURE_2D_ARRAY,0,re,ie.width,ie.height,ie.depth,0,pe,U,ie.data);else if(y.isData3DTexture)ge?(be&&t.texStorage3D(i.TEXTURE_3D,Ze,re,ie.width,ie.height,ie.depth),Ge&&t.texSubImage3D(i.TEXTURE_3D,0,0,0,0,ie.width,ie.height,ie.depth,pe,U,ie.data)):t.texImage3D(i.TEXTURE_3D,0,re,ie.width,ie.height,ie.depth,0,pe,U,ie.data);else if(y.isFramebufferTexture){if(be)if(ge)t.texStorage2D(i.TEXTURE_2D,Ze,re,ie.width,ie.height);else{let le=ie.width,Oe=ie.height;for(let Je=0;Je<Ze;Je++)t.texImage2D(i.TEXTURE_2D,Je,re,le,Oe,0,pe,U,null),le>>=1,Oe>>=1}}else if(y.isHTMLTexture){if("texElementImage2D"in i){let le=i.canvas;if(le.hasAttribute("layoutsubtree")||le.setAttribute("layoutsubtree","true"),ie.parentNode!==le){le.appendChild(ie),d.add(y),le.onpaint=Oe=>{let Je=Oe.changedElements;for(let Ce of d)Je.includes(Ce.image)&&(Ce.needsUpdate=!0)},le.requestPaint();return}if(i.texElementImage2D.length===3)i.texElementImage2D(i.TEXTURE_2D,i.RGBA8,ie);else{let Je=i.RGBA,Ce=i.RGBA,rt=i.UNSIGNED_BYTE;i.texElementImage2D(i.TEXTURE_2D,0,Je,Ce,rt,ie)}i.texParameteri(i.TEXTURE_2D,i.TEXTURE_MIN_FILTER,i.LINEAR),i.texParameteri(i.TEXTURE_2D,i.TEXTURE_WRAP_S,i.CLAMP_TO_EDGE),i.texParameteri(i.TEXTURE_2D,i.TEXTURE_WRAP_T,i.CLAMP_TO_EDGE)}}else if(we.length>0){if(ge&&be){let le=Xe(we[0]);t.texStorage2D(i.TEXTURE_2D,Ze,re,le.width,le.height)}for(let le=0,Oe=we.length;le<Oe;le++)ne=we[le],ge?Ge&&t.texSubImage2D(i.TEXTURE_2D,le,0,0,pe,U,ne):t.texImage2D(i.TEXTURE_2D,le,re,pe,U,ne);y.generateMipmaps=!1}else if(ge){if(be){let le=Xe(ie);t.texStorage2D(i.TEXTURE_2D,Ze,re,le.width,le.height)}Ge&&t.texSubImage2D(i.TEXTURE_2D,0,0,0,pe,U,ie)}else t.texImage2D(i.TEXTURE_2D,0,re,pe,U,ie);A(y)&&y.mipmapsAutoUpdate===!0&&S(he),xe.__version=_e.version,y.onUpdate&&y.onUpdate(y)}P.__version=y.version}function an(P,y,X){if(y.image.length!==6)return;let he=at(P,y),ae=y.source;t.bindTexture(i.TEXTURE_CUBE_MAP,P.__webglTexture,i.TEXTURE0+X);let _e=n.get(ae);if(ae.version!==_e.__version||he===!0){t.activeTexture(i.TEXTURE0+X);let xe=vt.getPrimaries(vt.workingColorSpace),te=y.colorSpace===Ms?null:vt.getPrimaries(y.colorSpace),ie=y.colorSpace===Ms||xe===te?i.NONE:i.BROWSER_DEFAULT_WEBGL;t.pixelStorei(i.UNPACK_FLIP_Y_WEBGL,y.flipY),t.pixelStorei(i.UNPACK_PREMULTIPLY_ALPHA_WEBGL,y.premultiplyAlpha),t.pixelStorei(i.UNPACK_ALIGNMENT,y.unpackAlignment),t.pixelStorei(i.UNPACK_COLORSPACE_CONVERSION_WEBGL,ie);let pe=y.isCompressedTexture||y.image[0].isCompressedTexture,U=y.image[0]&&y.image[0].isDataTexture,re=[];for(let Ce=0;Ce<6;Ce++)!pe&&!U?re[Ce]=x(y.image[Ce],!0,s.maxCubemapSize):re[Ce]=U?y.image[Ce].image:y.image[Ce],re[Ce]=ze(y,re[Ce]);let ne=re[0],we=r.convert(y.format,y.colorSpace),ge=r.convert(y.type),be=E(y.internalFormat,we,ge,y.normalized,y.colorSpace),Ge=y.isVideoTexture!==!0,Ze=_e.__version===void 0||he===!0,le=ae.dataReady,Oe=T(y,ne);ht(i.TEXTURE_CUBE_MAP,y);let Je;if(y.isDepthTexture){if(be=v(y.format===Ss,y.type),Ze)if(Ge)t.texStorage2D(i.TEXTURE_CUBE_MAP,1,be,ne.width,ne.height);else for(let Ce=0;Ce<6;Ce++)t.texImage2D(i.TEXTURE_CUBE_MAP_POSITIVE_X+Ce,0,be,ne.width,ne.height,0,we,ge,null)}else if(pe){Ge&&Ze&&t.texStorage2D(i.TEXTURE_CUBE_MAP,Oe,be,ne.width,ne.height);for(let Ce=0;Ce<6;Ce++){Je=re[Ce].mipmaps;for(let rt=0;rt<Je.length;rt++){let kt=Je[rt];y.format!==Bi?we!==null?Ge?le&&t.compressedTexSubImage2D(i.TEXTURE_CUBE_MAP_POSITIVE_X+Ce,rt,0,0,kt.width,kt.height,we,kt.data):t.compressedTexImage2D(i.TEXTURE_CUBE_MAP_POSITIVE_X+Ce,rt,be,kt.width,kt.height,0,kt.data):$e("WebGLRenderer: Attempt to load unsupported compressed texture format in .setTextureCube()"):Ge?le&&t.texSubImage2D(i.TEXTURE_CUBE_MAP_POSITIVE_X+Ce,rt,0,0,kt.width,kt.height,we,ge,kt.data):t.texImage2D(i.TEXTURE_CUBE_MAP_POSITIVE_X+Ce,rt,be,kt.width,kt.height,0,we,ge,kt.data)}}}else{if(Je=y.mipmaps,Ge&&Ze){Je.length>0&&Oe++;let Ce=Xe(re[0]);t.texStorage2D(i.TEXTURE_CUBE_MAP,Oe,be,Ce.width,Ce.height)}for(let Ce=0;Ce<6;Ce++)if(U){Ge?le&&t.texSubImage2D(i.TEXTURE_CUBE_MAP_POSITIVE_X+Ce,0,0,0,re[Ce].width,re[Ce].height,we,ge,re[Ce].data):t.texImage2D(i.TEXTURE_CUBE_MAP_POSITIVE_X+Ce,0,be,re[Ce].width,re[Ce].height,0,we,ge,re[Ce].data);for(let rt=0;rt<Je.length;rt++){let On=Je[rt].image[Ce].image;Ge?le&&t.texSubImage2D(i.TEXTURE_CUBE_MAP_POSITIVE_X+Ce,rt+1,0,0,On.width,On.height,we,ge,On.data):t.texImage2D(i.TEXTURE_CUBE_MAP_POSITIVE_X+Ce,rt+1,be,On.width,On.height,0,we,ge,On.data)}}else{Ge?le&&t.texSubImage2D(i.TEXTURE_CUBE_MAP_POSITIVE_X+Ce,0,0,0,we,ge,re[Ce]):t.texImage2D(i.TEXTURE_CUBE_MAP_POSITIVE_X+Ce,0,be,we,ge,re[Ce]);for(let rt=0;rt<Je.length;rt++){let kt=Je[rt];Ge?le&&t.texSubImage2D(i.TEXTURE_CUBE_MAP_POSITIVE_X+Ce,rt+1,0,0,we,ge,kt.image[Ce]):t.texImage2D(i.TEXTURE_CUBE_MAP_POSITIVE_X+Ce,rt+1,be,we,ge,kt.image[Ce])}}}A(y)&&y.mipmapsAutoUpdate===!0&&S(i.TEXTURE_CUBE_MAP),_e.__version=ae.version,y.onUpdate&&y.onUpdate(y)}P.__version=y.version}function Lt(P,y,X,he,ae,_e){let xe=r.convert(X.format,X.colorSpace),te=r.convert(X.type),ie=E(X.internalFormat,xe,te,X.normalized,X.colorSpace),pe=n.get(y),U=n.get(X);if(U.__renderTarget=y,!pe.__hasExternalTextures){let re=Math.max(1,y.width>>_e),ne=Math.max(1,y.height>>_e);ae===i.TEXTURE_3D||ae===i.TEXTURE_2D_ARRAY?t.texImage3D(ae,_e,ie,re,ne,y.depth,0,xe,te,null):t.texImage2D(ae,_e,ie,re,ne,0,xe,te,null)}t.bindFramebuffer(i.FRAMEBUFFER,P),Me(y)?o.framebufferTexture2DMultisampleEXT(i.FRAMEBUFFER,he,ae,U.__webglTexture,0,it(y)):(ae===i.TEXTURE_2D||ae>=i.TEXTURE_CUBE_MAP_POSITIVE_X&&ae<=i.TEXTURE_CUBE_MAP_NEGATIVE_Z)&&i.framebufferTexture2D(i.FRAMEBUFFER,he,ae,U.__webglTexture,_e),t.bindFramebuffer(i.FRAMEBUFFER,null)}function bn(P,y,X){if(i.bindRenderbuffer(i.RENDERBUFFER,P),y.depthBuffer){let he=y.depthTexture,ae=he&&he.isDepthTexture?he.type:null,_e=v(y.stencilBuffer,ae),xe=y.stencilBuffer?i.DEPTH_STENCIL_ATTACHMENT:i.DEPTH_ATTACHMENT;Me(y)?o.renderbufferStorageMultisampleEXT(i.RENDERBUFFER,it(y),_e,y.width,y.height):X?i.renderbufferStorageMultisample(i.RENDERBUFFER,it(y),_e,y.width,y.height):i.renderbufferStorage(i.RENDERBUFFER,_e,y.width,y.height),i.framebufferRenderbuffer(i.FRAMEBUFFER,xe,i.RENDERBUFFER,P)}else{let he=y.textures;for(let ae=0;ae<he.length;ae++){let _e=he[ae],xe=r.convert(_e.format,_e.colorSpace),te=r.convert(_e.type),ie=E(_e.internalFormat,xe,te,_e.normalized,_e.colorSpace);Me(y)?o.renderbufferStorageMultisampleEXT(i.RENDERBUFFER,it(y),ie,y.width,y.height):X?i.renderbufferStorageMultisample(i.RENDERBUFFER,it(y),ie,y.width,y.height):i.renderbufferStorage(i.RENDERBUFFER,ie,y.width,y.height)}}i.bindRenderbuffer(i.RENDERBUFFER,null)}function yt(P,y,X){let he=y.isWebGLCubeRenderTarget===!0;if(t.bindFramebuffer(i.FRAMEBUFFER,P),!(y.depthTexture&&y.depthTexture.isDepthTexture))throw new Error("THREE.WebGLTextures: renderTarget.depthTexture must be an instance of THREE.DepthTexture.");let ae=n.get(y.depthTexture);ae.__renderTarget=y;let _e=he?y.depthTexture.image[0]:y.depthTexture.image;(!ae.__webglTexture||_e.width!==y.width||_e.height!==y.height)&&(_e.width=y.width,_e.height=y.height,y.depthTexture.needsUpdate=!0),he?Se(y.depthTexture,0):me(y.depthTexture,0);let xe=ae.__webglTexture,te=it(y),ie=he?i.TEXTURE_CUBE_MAP_POSITIVE_X+X:i.TEXTURE_2D,pe=y.depthTexture.format===Ss?i.DEPTH_STENCIL_ATTACHMENT:i.DEPTH_ATTACHMENT;if(y.depthTexture.format===gs)Me(y)?o.framebufferTexture2DMultisampleEXT(i.FRAMEBUFFER,pe,ie,xe,0,te):i.framebufferTexture2D(i.FRAMEBUFFER,pe,ie,xe,0);else if(y.depthTexture.format===Ss)Me(y)?o.framebufferTexture2DMultisampleEXT(i.FRAMEBUFFER,pe,ie,xe,0,te):i.framebufferTexture2D(i.FRAMEBUFFER,pe,ie,xe,0);else throw new Error("THREE.WebGLTextures: Unknown depthTexture format.")}function pn(P){let y=n.get(P),X=P.isWebGLCubeRenderTarget===!0;if(y.__boundDepthTexture!==P.depthTexture){let he=P.depthTexture;if(y.__depthDisposeCallback&&y.__depthDisposeCallback(),he){let ae=()=>{delete y.__boundDepthTexture,delete y.__depthDisposeCallback,he.removeEventListener("dispose",ae)};he.addEventListener("dispose",ae),y.__depthDisposeCallback=ae}y.__boundDepthTexture=he}if(P.depthTexture&&!y.__autoAllocateDepthBuffer)if(X)for(let he=0;he<6;he++)yt(y.__webglFramebuffer[he],P,he);else P.texture.mipmaps.length>0?yt(y.__webglFramebuffer[0],P,0):yt(y.__webglFramebuffer,P,0);else if(X){y.__webglDepthbuffer=[];for(let he=0;he<6;he++)if(t.bindFramebuffer(i.FRAMEBUFFER,y.__webglFramebuffer[he]),y.__webglDepthbuffer[he]===void 0)y.__webglDepthbuffer[he]=i.createRenderbuffer(),bn(y.__webglDepthbuffer[he],P,!1);else{let ae=P.stencilBuffer?i.DEPTH_STENCIL_ATTACHMENT:i.DEPTH_ATTACHMENT,_e=y.__webglDepthbuffer[he];i.bindRenderbuffer(i.RENDERBUFFER,_e),i.framebufferRenderbuffer(i.FRAMEBUFFER,ae,i.RENDERBUFFER,_e)}}else if(P.texture.mipmaps.length>0?t.bindFramebuffer(i.FRAMEBUFFER,y.__webglFramebuffer[0]):t.bindFramebuffer(i.FRAMEBUFFER,y.__webglFramebuffer),y.__webglDepthbuffer===void 0)y.__webglDepthbuffer=i.createRenderbuffer(),bn(y.__webglDepthbuffer,P,!1);else{let ae=P.stencilBuffer?i.DEPTH_STENCIL_ATTACHMENT:i.DEPTH_ATTACHMENT,_e=y.__webglDepthbuffer;i.bindRenderbuffer(i.RENDERBUFFER,_e),i.framebufferRenderbuffer(i.FRAMEBUFFER,ae,i.RENDERBUFFER,_e)}t.bindFramebuffer(i.FRAMEBUFFER,null)}function Jt(P,y,X){let he=n.get(P);y!==void 0&&Lt(he.__webglFramebuffer,P,P.texture,i.COLOR_ATTACHMENT0,i.TEXTURE_2D,0),X!==void 0&&pn(P)}function on(P){let y=P.texture,X=n.get(P),he=n.get(y);P.addEventListener("dispose",z),B(P);let ae=P.textures,_e=P.isWebGLCubeRenderTarget===!0,xe=ae.length>1;if(xe||(he.__webglTexture===void 0&&(he.__webglTexture=i.createTexture()),he.__version=y.version,a.memory.textures++),_e){X.__webglFramebuffer=[];for(let te=0;te<6;te++)if(y.mipmaps.length>0){X.__webglFramebuffer[te]=[];for(let ie=0;ie<y.mipmaps.length;ie++)X.__webglFramebuffer[te][ie]=i.createFramebuffer()}else X.__webglFramebuffer[te]=i.createFramebuffer()}else{if(y.mipmaps.length>0){X.__webglFramebuffer=[];for(let te=0;te<y.mipmaps.length;te++)X.__webglFramebuffer[te]=i.createFramebuffer()}else X.__webglFramebuffer=i.createFramebuffer();if(xe)for(let te=0,ie=ae.length;te<ie;te++){let pe=n.get(ae[te]);pe.__webglTexture===void 0&&(pe.__webglTexture=i.createTexture(),a.memory.textures++)}if(P.samples>0&&Me(P)===!1){X.__webglMultisampledFramebuffer=i.createFramebuffer(),X.__webglColorRenderbuffer=[],t.bindFramebuffer(i.FRAMEBUFFER,X.__webglMultisampledFramebuffer);for(let te=0;te<ae.length;te++){let ie=ae[te];X.__webglColorRenderbuffer[te]=i.createRenderbuffer(),i.bindRenderbuffer(i.RENDERBUFFER,X.__webglColorRenderbuffer[te]);let pe=r.convert(ie.format,ie.colorSpace),U=r.convert(ie.type),re=E(ie.internalFormat,pe,U,ie.normalized,ie.colorSpace,P.isXRRenderTarget===!0),ne=it(P);i.renderbufferStorageMultisample(i.RENDERBUFFER,ne,re,P.width,P.height),i.framebufferRenderbuffer(i.FRAMEBUFFER,i.COLOR_ATTACHMENT0+te,i.RENDERBUFFER,X.__webglColorRenderbuffer[te])}i.bindRenderbuffer(i.RENDERBUFFER,null),P.depthBuffer&&(X.__webglDepthRenderbuffer=i.createRenderbuffer(),bn(X.__webglDepthRenderbuffer,P,!0)),t.bindFramebuffer(i.FRAMEBUFFER,null)}}if(_e){t.bindTexture(i.TEXTURE_CUBE_MAP,he.__webglTexture),ht(i.TEXTURE_CUBE_MAP,y);for(let te=0;te<6;te++)if(y.mipmaps.length>0)for(let ie=0;ie<y.mipmaps.length;ie++)Lt(X.__webglFramebuffer[te][ie],P,y,i.COLOR_ATTACHMENT0,i.TEXTURE_CUBE_MAP_POSITIVE_X+te,ie);else Lt(X.__webglFramebuffer[te],P,y,i.COLOR_ATTACHMENT0,i.TEXTURE_CUBE_MAP_POSITIVE_X+te,0);A(y)?S(i.TEXTURE_CUBE_MAP):y.mipmaps.length>0&&i.texParameteri(i.TEXTURE_CUBE_MAP,i.TEXTURE_MAX_LEVEL,y.mipmaps.length-1),t.unbindTexture()}else if(xe){for(let te=0,ie=ae.length;te<ie;te++){let pe=ae[te],U=n.get(pe),re=i.TEXTURE_2D;(P.isWebGL3DRenderTarget||P.isWebGLArrayRenderTarget)&&(re=P.isWebGL3DRenderTarget?i.TEXTURE_3D:i.TEXTURE_2D_ARRAY),t.bindTexture(re,U.__webglTexture),ht(re,pe),Lt(X.__webglFramebuffer,P,pe,i.COLOR_ATTACHMENT0+te,re,0),A(pe)&&S(re)}t.unbindTexture()}else{let te=i.TEXTURE_2D;if((P.isWebGL3DRenderTarget||P.isWebGLArrayRenderTarget)&&(te=P.isWebGL3DRenderTarget?i.TEXTURE_3D:i.TEXTURE_2D_ARRAY),t.bindTexture(te,he.__webglTexture),ht(te,y),y.mipmaps.length>0)for(let ie=0;ie<y.mipmaps.length;ie++)Lt(X.__webglFramebuffer[ie],P,y,i.COLOR_ATTACHMENT0,te,ie);else Lt(X.__webglFramebuffer,P,y,i.COLOR_ATTACHMENT0,te,0);A(y)?S(te):y.mipmaps.length>0&&i.texParameteri(te,i.TEXTURE_MAX_LEVEL,y.mipmaps.length-1),t.unbindTexture()}P.depthBuffer&&pn(P)}function O(P){let y=P.textures;for(let X=0,he=y.length;X<he;X++){let ae=y[X];if(A(ae)&&ae.mipmapsAutoUpdate===!0){let _e=R(P),xe=n.get(ae).__webglTexture;t.bindTexture(_e,xe),S(_e),t.unbindTexture()}}}let Re=[];function qe(P){if(P.samples>0){if(Me(P)===!1){let y=P.textures,X=P.width,he=P.height,ae=i.COLOR_BUFFER_BIT,_e=P.stencilBuffer?i.DEPTH_STENCIL_ATTACHMENT:i.DEPTH_ATTACHMENT,xe=n.get(P),te=y.length>1;if(te)for(let pe=0;pe<y.length;pe++)t.bindFramebuffer(i.FRAMEBUFFER,xe.__webglMultisampledFramebuffer),i.framebufferRenderbuffer(i.FRAMEBUFFER,i.COLOR_ATTACHMENT0+pe,i.RENDERBUFFER,null),t.bindFramebuffer(i.FRAMEBUFFER,xe.__webglFramebuffer),i.framebufferTexture2D(i.DRAW_FRAMEBUFFER,i.COLOR_ATTACHMENT0+pe,i.TEXTURE_2D,null,0);t.bindFramebuffer(i.READ_FRAMEBUFFER,xe.__webglMultisampledFramebuffer),P.texture.mipmaps.length>0?t.bindFramebuffer(i.DRAW_FRAMEBUFFER,xe.__webglFramebuffer[0]):t.bindFramebuffer(i.DRAW_FRAMEBUFFER,xe.__webglFramebuffer);for(let pe=0;pe<y.length;pe++){if(P.resolveDepthBuffer&&(P.depthBuffer&&(ae|=i.DEPTH_BUFFER_BIT),P.stencilBuffer&&P.resolveStencilBuffer&&(ae|=i.STENCIL_BUFFER_BIT)),te){i.framebufferRenderbuffer(i.READ_FRAMEBUFFER,i.COLOR_ATTACHMENT0,i.RENDERBUFFER,xe.__webglColorRenderbuffer[pe]);let U=n.get(y[pe]).__webglTexture;i.framebufferTexture2D(i.DRAW_FRAMEBUFFER,i.COLOR_ATTACHMENT0,i.TEXTURE_2D,U,0)}i.blitFramebuffer(0,0,X,he,0,0,X,he,ae,i.NEAREST),l===!0&&(Re.length=0,Re.push(i.COLOR_ATTACHMENT0+pe),P.depthBuffer&&P.storeMultisampledDepthBuffer===!1&&Re.push(_e),i.invalidateFramebuffer(i.READ_FRAMEBUFFER,Re))}if(t.bindFramebuffer(i.READ_FRAMEBUFFER,null),t.bindFramebuffer(i.DRAW_FRAMEBUFFER,null),te)for(let pe=0;pe<y.length;pe++){t.bindFramebuffer(i.FRAMEBUFFER,xe.__webglMultisampledFramebuffer),i.framebufferRenderbuffer(i.FRAMEBUFFER,i.COLOR_ATTACHMENT0+pe,i.RENDERBUFFER,xe.__webglColorRenderbuffer[pe]);let U=n.get(y[pe]).__webglTexture;t.bindFramebuffer(i.FRAMEBUFFER,xe.__webglFramebuffer),i.framebufferTexture2D(i.DRAW_FRAMEBUFFER,i.COLOR_ATTACHMENT0+pe,i.TEXTURE_2D,U,0)}t.bindFramebuffer(i.DRAW_FRAMEBUFFER,xe.__webglMultisampledFramebuffer)}else if(P.depthBuffer&&P.storeMultisampledDepthBuffer===!1&&l){let y=P.stencilBuffer?i.DEPTH_STENCIL_ATTACHMENT:i.DEPTH_ATTACHMENT;i.invalidateFramebuffer(i.DRAW_FRAMEBUFFER,[y])}}}function it(P){return Math.min(s.maxSamples,P.samples)}function Me(P){let y=n.get(P);return P.samples>0&&e.has("WEBGL_multisampled_render_to_texture")===!0&&y.__useRenderToTexture!==!1}function Dt(P){let y=a.render.frame;u.get(P)!==y&&(u.set(P,y),P.update())}function ze(P,y){let X=P.colorSpace,he=P.format,ae=P.type;return P.isCompressedTexture===!0||P.isVideoTexture===!0||X!==qa&&X!==Ms&&(vt.getTransfer(X)===Ct?(he!==Bi||ae!==Qn)&&$e("WebGLTextures: sRGB encoded textures have to use RGBAFormat and UnsignedByteType."):je("WebGLTextures: Unsupported texture color space:",X)),y}function Xe(P){return typeof HTMLImageElement<"u"&&P instanceof HTMLImageElement?(c.width=P.naturalWidth||P.width,c.height=P.naturalHeight||P.height):typeof VideoFrame<"u"&&P instanceof VideoFrame?(c.width=P.displayWidth,c.height=P.displayHeight):(c.width=P.width,c.height=P.height),c}this.allocateTextureUnit=ue,this.resetTextureUnits=Q,this.getTextureUnits=se,this.setTextureUnits=de,this.setTexture2D=me,this.setTexture2DArray=ve,this.setTexture3D=Ae,this.setTextureCube=Se,this.rebindTextures=Jt,this.setupRenderTarget=on,this.updateRenderTargetMipmap=O,this.updateMultisampleRenderTarget=qe,this.setupDepthRenderbuffer=pn,this.setupFrameBufferTexture=Lt,this.useMultisampledRTT=Me,this.dispose=H}function YM(i,e){function t(n,s=Ms){let r,a=vt.getTransfer(s);if(n===Qn)return i.UNSIGNED_BYTE;if(n===gc)return i.UNSIGNED_SHORT_4_4_4_4;if(n===_c)return i.UNSIGNED_SHORT_5_5_5_1;if(n===ad)return i.UNSIGNED_INT_5_9_9_9_REV;if(n===od)return i.UNSIGNED_INT_10F_11F_11F_REV;if(n===sd)return i.BYTE;if(n===rd)return i.SHORT;if(n===fa)return i.UNSIGNED_SHORT;if(n===mc)return i.INT;if(n===Ui)return i.UNSIGNED_INT;if(n===wi)return i.FLOAT;if(n===Oi)return i.HALF_FLOAT;if(n===ld)return i.ALPHA;if(n===cd)return i.RGB;if(n===Bi)return i.RGBA;if(n===gs)return i.DEPTH_COMPONENT;if(n===Ss)return i.DEPTH_STENCIL;if(n===vc)return i.RED;if(n===xc)return i.RED_INTEGER;if(n===Xs)return i.RG;if(n===yc)return i.RG_INTEGER;if(n===bc)return i.RGBA_INTEGER;if(n===vo||n===xo||n===yo||n===bo)if(a===Ct)if(r=e.get("WEBGL_compressed_texture_s3tc_srgb"),r!==null){if(n===vo)return r.COMPRESSED_SRGB_S3TC_DXT1_EXT;if(n===xo)return r.COMPRESSED_SRGB_ALPHA_S3TC_DXT1_EXT;if(n===yo)return r.COMPRESSED_SRGB_ALPHA_S3TC_DXT3_EXT;if(n===bo)return r.COMPRESSED_SRGB_ALPHA_S3TC_DXT5_EXT}else return null;else if(r=e.get("WEBGL_compressed_texture_s3tc"),r!==null){if(n===vo)return r.COMPRESSED_RGB_S3TC_DXT1_EXT;if(n===xo)return r.COMPRESSED_RGBA_S3TC_DXT1_EXT;if(n===yo)return r.COMPRESSED_RGBA_S3TC_DXT3_EXT;if(n===bo)return r.COMPRESSED_RGBA_S3TC_DXT5_EXT}else return null;if(n===Sc||n===Mc||n===wc||n===Tc)if(r=e.get("WEBGL_compressed_texture_pvrtc"),r!==null){if(n===Sc)return r.COMPRESSED_RGB_PVRTC_4BPPV1_IMG;if(n===Mc)return r.COMPRESSED_RGB_PVRTC_2BPPV1_IMG;if(n===wc)return r.COMPRESSED_RGBA_PVRTC_4BPPV1_IMG;if(n===Tc)return r.COMPRESSED_RGBA_PVRTC_2BPPV1_IMG}else return null;if(n===Ec||n===Ac||n===Cc||n===Rc||n===Pc||n===So||n===Ic)if(r=e.get("WEBGL_compressed_texture_etc"),r!==null){if(n===Ec||n===Ac)return a===Ct?r.COMPRESSED_SRGB8_ETC2:r.COMPRESSED_RGB8_ETC2;if(n===Cc)return a===Ct?r.COMPRESSED_SRGB8_ALPHA8_ETC2_EAC:r.COMPRESSED_RGBA8_ETC2_EAC;if(n===Rc)return r.COMPRESSED_R11_EAC;if(n===Pc)return r.COMPRESSED_SIGNED_R11_EAC;if(n===So)return r.COMPRESSED_RG11_EAC;if(n===Ic)return r.COMPRESSED_SIGNED_RG11_EAC}else return null;if(n===Lc||n===Nc||n===Dc||n===Fc||n===Uc||n===Oc||n===Bc||n===kc||n===zc||n===Vc||n===Gc||n===Hc||n===Wc||n===Xc)if(r=e.get("WEBGL_compressed_texture_astc"),r!==null){if(n===Lc)return a===Ct?r.COMPRESSED_SRGB8_ALPHA8_ASTC_4x4_KHR:r.COMPRESSED_RGBA_ASTC_4x4_KHR;if(n===Nc)return a===Ct?r.COMPRESSED_SRGB8_ALPHA8_ASTC_5x4_KHR:r.COMPRESSED_RGBA_ASTC_5x4_KHR;if(n===Dc)return a===Ct?r.COMPRESSED_SRGB8_ALPHA8_ASTC_5x5_KHR:r.COMPRESSED_RGBA_ASTC_5x5_KHR;if(n===Fc)return a===Ct?r.COMPRESSED_SRGB8_ALPHA8_ASTC_6x5_KHR:r.COMPRESSED_RGBA_ASTC_6x5_KHR;if(n===Uc)return a===Ct?r.COMPRESSED_SRGB8_ALPHA8_ASTC_6x6_KHR:r.COMPRESSED_RGBA_ASTC_6x6_KHR;if(n===Oc)return a===Ct?r.COMPRESSED_SRGB8_ALPHA8_ASTC_8x5_KHR:r.COMPRESSED_RGBA_ASTC_8x5_KHR;if(n===Bc)return a===Ct?r.COMPRESSED_SRGB8_ALPHA8_ASTC_8x6_KHR:r.COMPRESSED_RGBA_ASTC_8x6_KHR;if(n===kc)return a===Ct?r.COMPRESSED_SRGB8_ALPHA8_ASTC_8x8_KHR:r.COMPRESSED_RGBA_ASTC_8x8_KHR;if(n===zc)return a===Ct?r.COMPRESSED_SRGB8_ALPHA8_ASTC_10x5_KHR:r.COMPRESSED_RGBA_ASTC_10x5_KHR;if(n===Vc)return a===Ct?r.COMPRESSED_SRGB8_ALPHA8_ASTC_10x6_KHR:r.COMPRESSED_RGBA_ASTC_10x6_KHR;if(n===Gc)return a===Ct?r.COMPRESSED_SRGB8_ALPHA8_ASTC_10x8_KHR:r.COMPRESSED_RGBA_ASTC_10x8_KHR;if(n===Hc)return a===Ct?r.COMPRESSED_SRGB8_ALPHA8_ASTC_10x10_KHR:r.COMPRESSED_RGBA_ASTC_10x10_KHR;if(n===Wc)return a===Ct?r.COMPRESSED_SRGB8_ALPHA8_ASTC_12x10_KHR:r.COMPRESSED_RGBA_ASTC_12x10_KHR;if(n===Xc)return a===Ct?r.COMPRESSED_SRGB8_ALPHA8_ASTC_12x12_KHR:r.COMPRESSED_RGBA_ASTC_12x12_KHR}else return null;if(n===qc||n===Yc||n===$c)if(r=e.get("EXT_texture_compression_bptc"),r!==null){if(n===qc)return a===Ct?r.COMPRESSED_SRGB_ALPHA_BPTC_UNORM_EXT:r.COMPRESSED_RGBA_BPTC_UNORM_EXT;if(n===Yc)return r.COMPRESSED_RGB_BPTC_SIGNED_FLOAT_EXT;if(n===$c)return r.COMPRESSED_RGB_BPTC_UNSIGNED_FLOAT_EXT}else return null;if(n===Zc||n===Jc||n===Mo||n===Kc)if(r=e.get("EXT_texture_compression_rgtc"),r!==null){if(n===Zc)return r.COMPRESSED_RED_RGTC1_EXT;if(n===Jc)return r.COMPRESSED_SIGNED_RED_RGTC1_EXT;if(n===Mo)return r.COMPRESSED_RED_GREEN_RGTC2_EXT;if(n===Kc)return r.COMPRESSED_SIGNED_RED_GREEN_RGTC2_EXT}else return null;return n===dr?i.UNSIGNED_INT_24_8:i[n]!==void 0?i[n]:null}return{convert:t}}var $M=`
void main() {

	gl_Position = vec4( position, 1.0 );

}`,ZM=`
uniform sampler2DArray depthColor;
uniform float depthWidth;
uniform float depthHeight;

void main() {

	vec2 coord = vec2( gl_FragCoord.x / depthWidth, gl_FragCoord.y / depthHeight );

	if ( coord.x >= 1.0 ) {

		gl_FragDepth = texture( depthColor, vec3( coord.x - 1.0, coord.y, 1 ) ).r;

	} else {

		gl_FragDepth = texture( depthColor, vec3( coord.x, coord.y, 0 ) ).r;

	}

}`,Pd=class{constructor(){this.texture=null,this.mesh=null,this.depthNear=0,this.depthFar=0}init(e,t){if(this.texture===null){let n=new ro(e.texture);(e.depthNear!==t.depthNear||e.depthFar!==t.depthFar)&&(this.depthNear=e.depthNear,this.depthFar=e.depthFar),this.texture=n}}getMesh(e){if(this.texture!==null&&this.mesh===null){let t=e.cameras[0].viewport,n=new jn({vertexShader:$M,fragmentShader:ZM,uniforms:{depthColor:{value:this.texture},depthWidth:{value:t.z},depthHeight:{value:t.w}}});this.mesh=new Kn(new lo(20,20),n)}return this.mesh}reset(){this.texture=null,this.mesh=null}getDepthTexture(){return this.texture}},Id=class extends Zi{constructor(e,t){super();let n=this,s=null,r=1,a=null,o="local-floor",l=1,c=null,u=null,d=null,h=null,f=null,g=null,b=typeof XRWebGLBinding<"u",m=new Pd,p={},x=t.getContextAttributes(),A=null,S=null,R=[],E=[],v=new pt,T=null,B=null,F=new Hn;F.viewport=new $t;let L=new Hn;L.viewport=new $t;let z=[F,L],G=new hc,N=null,H=null;this.cameraAutoUpdate=!0,this.enabled=!1,this.isPresenting=!1,this.getController=function(ee){let me=R[ee];return me===void 0&&(me=new ra,R[ee]=me),me.getTargetRaySpace()},this.getControllerGrip=function(ee){let me=R[ee];return me===void 0&&(me=new ra,R[ee]=me),me.getGripSpace()},this.getHand=function(ee){let me=R[ee];return me===void 0&&(me=new ra,R[ee]=me),me.getHandSpace()};function Y(ee){let me=E.indexOf(ee.inputSource);if(me===-1)return;let ve=R[me];ve!==void 0&&(ve.update(ee.inputSource,ee.frame,c||a),ve.dispatchEvent({type:ee.type,data:ee.inputSource}))}function W(){s.removeEventListener("select",Y),s.removeEventListener("selectstart",Y),s.removeEventListener("selectend",Y),s.removeEventListener("squeeze",Y),s.removeEventListener("squeezestart",Y),s.removeEventListener("squeezeend",Y),s.removeEventListener("end",W),s.removeEventListener("inputsourceschange",ce);for(let ee=0;ee<R.length;ee++){let me=E[ee];me!==null&&(E[ee]=null,R[ee].disconnect(me))}N=null,H=null,m.reset();for(let ee in p)delete p[ee];if(e.setRenderTarget(A),f=null,h=null,d=null,s=null,S=null,ue.stop(),n.isPresenting=!1,e.setPixelRatio(T),e.setSize(v.width,v.height,!1),B!==null){let ee=B.camera;ee.fov=B.fov,ee.zoom=B.zoom,ee.updateProjectionMatrix(),B=null}n.dispatchEvent({type:"sessionend"})}this.setFramebufferScaleFactor=function(ee){r=ee,n.isPresenting===!0&&$e("WebXRManager: Cannot change framebuffer scale while presenting.")},this.setReferenceSpaceType=function(ee){o=ee,n.isPresenting===!0&&$e("WebXRManager: Cannot change reference space type while presenting.")},this.getReferenceSpace=function(){return c||a},this.setReferenceSpace=function(ee){c=ee},this.getBaseLayer=function(){return h!==null?h:f},this.getBinding=function(){return d===null&&b&&(d=new XRWebGLBinding(s,t)),d},this.getFrame=function(){return g},this.getSession=function(){return s},this.setSession=async function(ee){if(s=ee,s!==null){if(A=e.getRenderTarget(),s.addEventListener("select",Y),s.addEventListener("selectstart",Y),s.addEventListener("selectend",Y),s.addEventListener("squeeze",Y),s.addEventListener("squeezestart",Y),s.addEventListener("squeezeend",Y),s.addEventListener("end",W),s.addEventListener("inputsourceschange",ce),x.xrCompatible!==!0&&await t.makeXRCompatible(),T=e.getPixelRatio(),e.getSize(v),b&&"createProjectionLayer"in XRWebGLBinding.prototype){let ve=null,Ae=null,Se=null;x.depth&&(Se=x.stencil?t.DEPTH24_STENCIL8:t.DEPTH_COMPONENT24,ve=x.stencil?Ss:gs,Ae=x.stencil?dr:Ui);let He={colorFormat:t.RGBA8,depthFormat:Se,scaleFactor:r};d=this.getBinding(),h=d.createProjectionLayer(He),s.updateRenderState({layers:[h]}),e.setPixelRatio(1),e.setSize(h.textureWidth,h.textureHeight,!1),S=new fi(h.textureWidth,h.textureHeight,{format:Bi,type:Qn,depthTexture:new ys(h.textureWidth,h.textureHeight,Ae,void 0,void 0,void 0,void 0,void 0,void 0,ve),stencilBuffer:x.stencil,colorSpace:e.outputColorSpace,samples:x.antialias?4:0,resolveDepthBuffer:h.ignoreDepthValues===!1,resolveStencilBuffer:h.ignoreDepthValues===!1,storeMultisampledDepthBuffer:h.ignoreDepthValues===!1,storeMultisampledStencilBuffer:h.ignoreDepthValues===!1})}else{let ve={antialias:x.antialias,alpha:!0,depth:x.depth,stencil:x.stencil,framebufferScaleFactor:r};f=new XRWebGLLayer(s,t,ve),s.updateRenderState({baseLayer:f}),e.setPixelRatio(1),e.setSize(f.framebufferWidth,f.framebufferHeight,!1),S=new fi(f.framebufferWidth,f.framebufferHeight,{format:Bi,type:Qn,colorSpace:e.outputColorSpace,stencilBuffer:x.stencil,resolveDepthBuffer:f.ignoreDepthValues===!1,resolveStencilBuffer:f.ignoreDepthValues===!1,storeMultisampledDepthBuffer:f.ignoreDepthValues===!1,storeMultisampledStencilBuffer:f.ignoreDepthValues===!1})}S.isXRRenderTarget=!0,this.setFoveation(l),c=null,a=await s.requestReferenceSpace(o),ue.setContext(s),ue.start(),n.isPresenting=!0,n.dispatchEvent({type:"sessionstart"})}},this.getEnvironmentBlendMode=function(){if(s!==null)return s.environmentBlendMode},this.getDepthTexture=function(){return m.getDepthTexture()};function ce(ee){for(let me=0;me<ee.removed.length;me++){let ve=ee.removed[me],Ae=E.indexOf(ve);Ae>=0&&(E[Ae]=null,R[Ae].disconnect(ve))}for(let me=0;me<ee.added.length;me++){let ve=ee.added[me],Ae=E.indexOf(ve);if(Ae===-1){for(let He=0;He<R.length;He++)if(He>=E.length){E.push(ve),Ae=He;break}else if(E[He]===null){E[He]=ve,Ae=He;break}if(Ae===-1)break}let Se=R[Ae];Se&&Se.connect(ve)}}function K(ee,me){me===null?ee.matrixWorld.copy(ee.matrix):ee.matrixWorld.multiplyMatrices(me.matrixWorld,ee.matrix),ee.matrixWorldInverse.copy(ee.matrixWorld).invert()}this.updateCamera=function(ee){if(s===null)return;let me=ee.near,ve=ee.far;m.texture!==null&&(m.depthNear>0&&(me=m.depthNear),m.depthFar>0&&(ve=m.depthFar)),G.near=L.near=F.near=me,G.far=L.far=F.far=ve,(N!==G.near||H!==G.far)&&(s.updateRenderState({depthNear:G.near,depthFar:G.far}),N=G.near,H=G.far),G.layers.mask=ee.layers.mask|6,F.layers.mask=G.layers.mask&-5,L.layers.mask=G.layers.mask&-3;let Ae=ee.parent,Se=G.cameras;K(G,Ae);for(let He=0;He<Se.length;He++)K(Se[He],Ae);G.projectionMatrix.copy(F.projectionMatrix),G.projectionMatrixInverse.copy(F.projectionMatrixInverse),B===null&&ee.isPerspectiveCamera&&(B={camera:ee,fov:ee.fov,zoom:ee.zoom}),Q(ee,G,Ae)};function Q(ee,me,ve){ve===null?ee.matrix.copy(me.matrixWorld):(ee.matrix.copy(ve.matrixWorld),ee.matrix.invert(),ee.matrix.multiply(me.matrixWorld)),ee.matrix.decompose(ee.position,ee.quaternion,ee.scale),ee.updateMatrixWorld(!0),ee.projectionMatrix.copy(me.projectionMatrix),ee.projectionMatrixInverse.copy(me.projectionMatrixInverse),ee.isPerspectiveCamera&&(ee.fov=Wl*2*Math.atan(1/ee.projectionMatrix.elements[5]),ee.zoom=1)}this.getCamera=function(){return G},this.getFoveation=function(){if(!(h===null&&f===null))return l},this.setFoveation=function(ee){l=ee,h!==null&&(h.fixedFoveation=ee),f!==null&&f.fixedFoveation!==void 0&&(f.fixedFoveation=ee)},this.hasDepthSensing=function(){return m.texture!==null},this.getDepthSensingMesh=function(){return m.getMesh(G)},this.getCameraTexture=function(ee){return p[ee]};let se=null;function de(ee,me){if(u=me.getViewerPose(c||a),g=me,u!==null){let ve=u.views;f!==null&&(e.setRenderTargetFramebuffer(S,f.framebuffer),e.setRenderTarget(S));let Ae=!1;ve.length!==G.cameras.length&&(G.cameras.length=0,Ae=!0);for(let Ve=0;Ve<ve.length;Ve++){let ht=ve[Ve],at=null;if(f!==null)at=f.getViewport(ht);else{let qt=d.getViewSubImage(h,ht);at=qt.viewport,Ve===0&&(e.setRenderTargetTextures(S,qt.colorTexture,qt.depthStencilTexture),e.setRenderTarget(S))}let et=z[Ve];et===void 0&&(et=new Hn,et.layers.enable(Ve),et.viewport=new $t,z[Ve]=et),et.matrix.fromArray(ht.transform.matrix),et.matrix.decompose(et.position,et.quaternion,et.scale),et.projectionMatrix.fromArray(ht.projectionMatrix),et.projectionMatrixInverse.copy(et.projectionMatrix).invert(),et.viewport.set(at.x,at.y,at.width,at.height),Ve===0&&(G.matrix.copy(et.matrix),G.matrix.decompose(G.position,G.quaternion,G.scale)),Ae===!0&&G.cameras.push(et)}let Se=s.enabledFeatures;if(Se&&Se.includes("depth-sensing")&&s.depthUsage=="gpu-optimized"&&b){d=n.getBinding();let Ve=d.getDepthInformation(ve[0]);Ve&&Ve.isValid&&Ve.texture&&m.init(Ve,s.renderState)}if(Se&&Se.includes("camera-access")&&b){e.state.unbindTexture(),d=n.getBinding();for(let Ve=0;Ve<ve.length;Ve++){let ht=ve[Ve].camera;if(ht){let at=p[ht];at||(at=new ro,p[ht]=at);let et=d.getCameraImage(ht);at.sourceTexture=et}}}}for(let ve=0;ve<R.length;ve++){let Ae=E[ve],Se=R[ve];Ae!==null&&Se!==void 0&&Se.update(Ae,me,c||a)}se&&se(ee,me),me.detectedPlanes&&n.dispatchEvent({type:"planesdetected",data:me}),g=null}let ue=new Pg;ue.setAnimationLoop(de),this.setAnimationLoop=function(ee){se=ee},this.dispose=function(){}}},JM=new St,zg=new Qe;zg.set(-1,0,0,0,1,0,0,0,1);function KM(i,e){function t(m,p){m.matrixAutoUpdate===!0&&m.updateMatrix(),p.value.copy(m.matrix)}function n(m,p){p.color.getRGB(m.fogColor.value,vd(i)),p.isFog?(m.fogNear.value=p.near,m.fogFar.value=p.far):p.isFogExp2&&(m.fogDensity.value=p.density)}function s(m,p,x,A,S){p.isNodeMaterial?p.uniformsNeedUpdate=!1:p.isMeshBasicMaterial?r(m,p):p.isMeshLambertMaterial?(r(m,p),p.envMap&&(m.envMapIntensity.value=p.envMapIntensity)):p.isMeshToonMaterial?(r(m,p),d(m,p)):p.isMeshPhongMaterial?(r(m,p),u(m,p),p.envMap&&(m.envMapIntensity.value=p.envMapIntensity)):p.isMeshStandardMaterial?(r(m,p),h(m,p),p.isMeshPhysicalMaterial&&f(m,p,S)):p.isMeshMatcapMaterial?(r(m,p),g(m,p)):p.isMeshDepthMaterial?r(m,p):p.isMeshDistanceMaterial?(r(m,p),b(m,p)):p.isMeshNormalMaterial?r(m,p):p.isLineBasicMaterial?(a(m,p),p.isLineDashedMaterial&&o(m,p)):p.isPointsMaterial?l(m,p,x,A):p.isSpriteMaterial?c(m,p):p.isShadowMaterial?(m.color.value.copy(p.color),m.opacity.value=p.opacity):p.isShaderMaterial&&(p.uniformsNeedUpdate=!1)}function r(m,p){m.opacity.value=p.opacity,p.color&&m.diffuse.value.copy(p.color),p.emissive&&m.emissive.value.copy(p.emissive).multiplyScalar(p.emissiveIntensity),p.map&&(m.map.value=p.map,t(p.map,m.mapTransform)),p.alphaMap&&(m.alphaMap.value=p.alphaMap,t(p.alphaMap,m.alphaMapTransform)),p.bumpMap&&(m.bumpMap.value=p.bumpMap,t(p.bumpMap,m.bumpMapTransform),m.bumpScale.value=p.bumpScale,p.side===qn&&(m.bumpScale.value*=-1)),p.normalMap&&(m.normalMap.value=p.normalMap,t(p.normalMap,m.normalMapTransform),m.normalScale.value.copy(p.normalScale),p.side===qn&&m.normalScale.value.negate()),p.displacementMap&&(m.displacementMap.value=p.displacementMap,t(p.displacementMap,m.displacementMapTransform),m.displacementScale.value=p.displacementScale,m.displacementBias.value=p.displacementBias),p.emissiveMap&&(m.emissiveMap.value=p.emissiveMap,t(p.emissiveMap,m.emissiveMapTransform)),p.specularMap&&(m.specularMap.value=p.specularMap,t(p.specularMap,m.specularMapTransform)),p.alphaTest>0&&(m.alphaTest.value=p.alphaTest);let x=e.get(p),A=x.envMap,S=x.envMapRotation;A&&(m.envMap.value=A,m.envMapRotation.value.setFromMatrix4(JM.makeRotationFromEuler(S)).transpose(),A.isCubeTexture&&A.isRenderTargetTexture===!1&&m.envMapRotation.value.premultiply(zg),m.reflectivity.value=p.reflectivity,m.ior.value=p.ior,m.refractionRatio.value=p.refractionRatio),p.lightMap&&(m.lightMap.value=p.lightMap,m.lightMapIntensity.value=p.lightMapIntensity,t(p.lightMap,m.lightMapTransform)),p.aoMap&&(m.aoMap.value=p.aoMap,m.aoMapIntensity.value=p.aoMapIntensity,t(p.aoMap,m.aoMapTransform))}function a(m,p){m.diffuse.value.copy(p.color),m.opacity.value=p.opacity,p.map&&(m.map.value=p.map,t(p.map,m.mapTransform))}function o(m,p){m.dashSize.value=p.dashSize,m.totalSize.value=p.dashSize+p.gapSize,m.scale.value=p.scale}function l(m,p,x,A){m.diffuse.value.copy(p.color),m.opacity.value=p.opacity,m.size.value=p.size*x,m.scale.value=A*.5,p.map&&(m.map.value=p.map,t(p.map,m.uvTransform)),p.alphaMap&&(m.alphaMap.value=p.alphaMap,t(p.alphaMap,m.alphaMapTransform)),p.alphaTest>0&&(m.alphaTest.value=p.alphaTest)}function c(m,p){m.diffuse.value.copy(p.color),m.opacity.value=p.opacity,m.rotation.value=p.rotation,p.map&&(m.map.value=p.map,t(p.map,m.mapTransform)),p.alphaMap&&(m.alphaMap.value=p.alphaMap,t(p.alphaMap,m.alphaMapTransform)),p.alphaTest>0&&(m.alphaTest.value=p.alphaTest)}function u(m,p){m.specular.value.copy(p.specular),m.shininess.value=Math.max(p.shininess,1e-4)}function d(m,p){p.gradientMap&&(m.gradientMap.value=p.gradientMap)}function h(m,p){m.metalness.value=p.metalness,p.metalnessMap&&(m.metalnessMap.value=p.metalnessMap,t(p.metalnessMap,m.metalnessMapTransform)),m.roughness.value=p.roughness,p.roughnessMap&&(m.roughnessMap.value=p.roughnessMap,t(p.roughnessMap,m.roughnessMapTransform)),p.envMap&&(m.envMapIntensity.value=p.envMapIntensity)}function f(m,p,x){m.ior.value=p.ior,p.diffuseRoughness>0&&(m.diffuseRoughness.value=p.diffuseRoughness,p.diffuseRoughnessMap&&(m.diffuseRoughnessMap.value=p.diffuseRoughnessMap,t(p.diffuseRoughnessMap,m.diffuseRoughnessMapTransform))),p.sheen>0&&(m.sheenColor.value.copy(p.sheenColor).multiplyScalar(p.sheen),m.sheenRoughness.value=p.sheenRoughness,p.sheenColorMap&&(m.sheenColorMap.value=p.sheenColorMap,t(p.sheenColorMap,m.sheenColorMapTransform)),p.sheenRoughnessMap&&(m.sheenRoughnessMap.value=p.sheenRoughnessMap,t(p.sheenRoughnessMap,m.sheenRoughnessMapTransform))),p.clearcoat>0&&(m.clearcoat.value=p.clearcoat,m.clearcoatRoughness.value=p.clearcoatRoughness,p.clearcoatMap&&(m.clearcoatMap.value=p.clearcoatMap,t(p.clearcoatMap,m.clearcoatMapTransform)),p.clearcoatRoughnessMap&&(m.clearcoatRoughnessMap.value=p.clearcoatRoughnessMap,t(p.clearcoatRoughnessMap,m.clearcoatRoughnessMapTransform)),p.clearcoatNormalMap&&(m.clearcoatNormalMap.value=p.clearcoatNormalMap,t(p.clearcoatNormalMap,m.clearcoatNormalMapTransform),m.clearcoatNormalScale.value.copy(p.clearcoatNormalScale),p.side===qn&&m.clearcoatNormalScale.value.negate())),p.dispersion>0&&(m.dispersion.value=p.dispersion),p.retroreflectivity>0&&(m.retroreflectivity.value=p.retroreflectivity),p.iridescence>0&&(m.iridescence.value=p.iridescence,m.iridescenceIOR.value=p.iridescenceIOR,m.iridescenceThicknessMinimum.value=p.iridescenceThicknessMinimum,m.iridescenceThicknessMaximum.value=p.iridescenceThicknessMaximum,p.iridescenceMap&&(m.iridescenceMap.value=p.iridescenceMap,t(p.iridescenceMap,m.iridescenceMapTransform)),p.iridescenceThicknessMap&&(m.iridescenceThicknessMap.value=p.iridescenceThicknessMap,t(p.iridescenceThicknessMap,m.iridescenceThicknessMapTransform))),p.transmission>0&&(m.transmission.value=p.transmission,m.transmissionSamplerMap.value=x.texture,m.transmissionSamplerSize.value.set(x.width,x.height),p.transmissionMap&&(m.transmissionMap.value=p.transmissionMap,t(p.transmissionMap,m.transmissionMapTransform)),m.thickness.value=p.thickness,p.thicknessMap&&(m.thicknessMap.value=p.thicknessMap,t(p.thicknessMap,m.thicknessMapTransform)),m.attenuationDistance.value=p.attenuationDistance,m.attenuationColor.value.copy(p.attenuationColor)),p.anisotropy>0&&(m.anisotropyVector.value.set(p.anisotropy*Math.cos(p.anisotropyRotation),p.anisotropy*Math.sin(p.anisotropyRotation)),p.anisotropyMap&&(m.anisotropyMap.value=p.anisotropyMap,t(p.anisotropyMap,m.anisotropyMapTransform))),m.specularIntensity.value=p.specularIntensity,m.specularColor.value.copy(p.specularColor),p.specularColorMap&&(m.specularColorMap.value=p.specularColorMap,t(p.specularColorMap,m.specularColorMapTransform)),p.specularIntensityMap&&(m.specularIntensityMap.value=p.specularIntensityMap,t(p.specularIntensityMap,m.specularIntensityMapTransform))}function g(m,p){p.matcap&&(m.matcap.value=p.matcap)}function b(m,p){let x=e.get(p).light;m.referencePosition.value.setFromMatrixPosition(x.matrixWorld),m.nearDistance.value=x.shadow.camera.near,m.farDistance.value=x.shadow.camera.far}return{refreshFogUniforms:n,refreshMaterialUniforms:s}}function jM(i,e,t,n){let s={},r={};function a(x,A){let S=A.program;n.uniformBlockBinding(x,S,s[x.id])}function o(x,A){let S=s[x.id];S===void 0&&(g(x),S=l(x),s[x.id]=S,x.addEventListener("dispose",m));let R=A.program;n.updateUBOMapping(x,R);let E=e.render.frame;r[x.id]!==E&&(c(x),r[x.id]=E)}function l(x){let A=i.createBuffer(),S=x.__size,R=x.usage;return i.bindBuffer(i.UNIFORM_BUFFER,A),i.bufferData(i.UNIFORM_BUFFER,S,R),i.bindBuffer(i.UNIFORM_BUFFER,null),A}function c(x){let A=s[x.id],S=x.uniforms,R=x.__cache;i.bindBuffer(i.UNIFORM_BUFFER,A);for(let E=0,v=S.length;E<v;E++){let T=S[E];if(Array.isArray(T))for(let B=0,F=T.length;B<F;B++)u(T[B],E,B,R);else u(T,E,0,R)}i.bindBuffer(i.UNIFORM_BUFFER,null)}function u(x,A,S,R){if(h(x,A,S,R)===!0){let E=x.__offset,v=x.value;if(Array.isArray(v)){let T=0;for(let B=0;B<v.length;B++){let F=v[B],L=b(F,!0);d(F,x.__data,T),T+=L.storage/Float32Array.BYTES_PER_ELEMENT}}else d(v,x.__data,0);i.bufferSubData(i.UNIFORM_BUFFER,E,x.__data)}}function d(x,A,S){typeof x=="number"||typeof x=="boolean"?A[S]=x:x.isMatrix3?(A[S]=x.elements[0],A[S+1]=x.elements[1],A[S+2]=x.elements[2],A[S+3]=0,A[S+4]=x.elements[3],A[S+5]=x.elements[4],A[S+6]=x.elements[5],A[S+7]=0,A[S+8]=x.elements[6],A[S+9]=x.elements[7],A[S+10]=x.elements[8],A[S+11]=0):ArrayBuffer.isView(x)?A.set(x.subarray(0,A.length-S),S):x.toArray(A,S)}function h(x,A,S,R){let E=x.value,v=A+"_"+S;if(Array.isArray(E)){R[v]===void 0&&(R[v]=[]);let T=R[v],B=!1;for(let F=0;F<E.length;F++)f(E[F],T,F)===!0&&(B=!0);return B}return f(E,R,v)}function f(x,A,S){if(A[S]===void 0)return typeof x=="number"||typeof x=="boolean"?A[S]=x:ArrayBuffer.isView(x)?A[S]=x.slice():A[S]=x.clone(),!0;{let R=A[S];if(typeof x=="number"||typeof x=="boolean"){if(R!==x)return A[S]=x,!0}else{if(ArrayBuffer.isView(x))return!0;if(R.equals(x)===!1)return R.copy(x),!0}}return!1}function g(x){let A=x.uniforms,S=0,R=16;for(let v=0,T=A.length;v<T;v++){let B=Array.isArray(A[v])?A[v]:[A[v]];for(let F=0,L=B.length;F<L;F++){let z=B[F],G=Array.isArray(z.value)?z.value:[z.value],N=Array.isArray(A[v])||Array.isArray(z.value),H=S;for(let W=0,ce=G.length;W<ce;W++){let K=G[W],Q=b(K,N),se=S%R,de=se%Q.boundary,ue=se+de;S+=de,ue!==0&&R-ue<Q.storage&&(S+=R-ue),W===0&&(H=S),S+=Q.storage}let Y=z.type==="int"?Int32Array:z.type==="uint"?Uint32Array:Float32Array;z.__data=new Y((S-H)/Float32Array.BYTES_PER_ELEMENT),z.__offset=H}}let E=S%R;return E>0&&(S+=R-E),x.__size=S,x.__cache={},this}function b(x,A){let S={boundary:0,storage:0};return typeof x=="number"||typeof x=="boolean"?(S.boundary=4,S.storage=4):x.isVector2?(S.boundary=8,S.storage=8):x.isVector3||x.isColor?(S.boundary=16,S.storage=12):x.isVector4?(S.boundary=16,S.storage=16):x.isMatrix3?(S.boundary=16,S.storage=48):x.isMatrix4?(S.boundary=16,S.storage=64):x.isTexture?$e("WebGLRenderer: Texture samplers can not be part of an uniforms group."):ArrayBuffer.isView(x)?(S.boundary=16,S.storage=x.byteLength):$e("WebGLRenderer: Unsupported uniform value type.",x),A===!0&&(S.boundary=16,S.storage=Math.ceil(S.storage/16)*16),S}function m(x){let A=x.target;A.removeEventListener("dispose",m),i.deleteBuffer(s[A.id]),delete s[A.id],delete r[A.id]}function p(){for(let x in s)i.deleteBuffer(s[x]);s={},r={}}return{bind:a,update:o,dispose:p}}var QM=new Uint16Array([12469,15057,12620,14925,13266,14620,13807,14376,14323,13990,14545,13625,14713,13328,14840,12882,14931,12528,14996,12233,15039,11829,15066,11525,15080,11295,15085,10976,15082,10705,15073,10495,13880,14564,13898,14542,13977,14430,14158,14124,14393,13732,14556,13410,14702,12996,14814,12596,14891,12291,14937,11834,14957,11489,14958,11194,14943,10803,14921,10506,14893,10278,14858,9960,14484,14039,14487,14025,14499,13941,14524,13740,14574,13468,14654,13106,14743,12678,14818,12344,14867,11893,14889,11509,14893,11180,14881,10751,14852,10428,14812,10128,14765,9754,14712,9466,14764,13480,14764,13475,14766,13440,14766,13347,14769,13070,14786,12713,14816,12387,14844,11957,14860,11549,14868,11215,14855,10751,14825,10403,14782,10044,14729,9651,14666,9352,14599,9029,14967,12835,14966,12831,14963,12804,14954,12723,14936,12564,14917,12347,14900,11958,14886,11569,14878,11247,14859,10765,14828,10401,14784,10011,14727,9600,14660,9289,14586,8893,14508,8533,15111,12234,15110,12234,15104,12216,15092,12156,15067,12010,15028,11776,14981,11500,14942,11205,14902,10752,14861,10393,14812,9991,14752,9570,14682,9252,14603,8808,14519,8445,14431,8145,15209,11449,15208,11451,15202,11451,15190,11438,15163,11384,15117,11274,15055,10979,14994,10648,14932,10343,14871,9936,14803,9532,14729,9218,14645,8742,14556,8381,14461,8020,14365,7603,15273,10603,15272,10607,15267,10619,15256,10631,15231,10614,15182,10535,15118,10389,15042,10167,14963,9787,14883,9447,14800,9115,14710,8665,14615,8318,14514,7911,14411,7507,14279,7198,15314,9675,15313,9683,15309,9712,15298,9759,15277,9797,15229,9773,15166,9668,15084,9487,14995,9274,14898,8910,14800,8539,14697,8234,14590,7790,14479,7409,14367,7067,14178,6621,15337,8619,15337,8631,15333,8677,15325,8769,15305,8871,15264,8940,15202,8909,15119,8775,15022,8565,14916,8328,14804,8009,14688,7614,14569,7287,14448,6888,14321,6483,14088,6171,15350,7402,15350,7419,15347,7480,15340,7613,15322,7804,15287,7973,15229,8057,15148,8012,15046,7846,14933,7611,14810,7357,14682,7069,14552,6656,14421,6316,14251,5948,14007,5528,15356,5942,15356,5977,15353,6119,15348,6294,15332,6551,15302,6824,15249,7044,15171,7122,15070,7050,14949,6861,14818,6611,14679,6349,14538,6067,14398,5651,14189,5311,13935,4958,15359,4123,15359,4153,15356,4296,15353,4646,15338,5160,15311,5508,15263,5829,15188,6042,15088,6094,14966,6001,14826,5796,14678,5543,14527,5287,14377,4985,14133,4586,13869,4257,15360,1563,15360,1642,15358,2076,15354,2636,15341,3350,15317,4019,15273,4429,15203,4732,15105,4911,14981,4932,14836,4818,14679,4621,14517,4386,14359,4156,14083,3795,13808,3437,15360,122,15360,137,15358,285,15355,636,15344,1274,15322,2177,15281,2765,15215,3223,15120,3451,14995,3569,14846,3567,14681,3466,14511,3305,14344,3121,14037,2800,13753,2467,15360,0,15360,1,15359,21,15355,89,15346,253,15325,479,15287,796,15225,1148,15133,1492,15008,1749,14856,1882,14685,1886,14506,1783,14324,1608,13996,1398,13702,1183]),Qi=null;function ew(){return Qi===null&&(Qi=new eo(QM,16,16,Xs,Oi),Qi.name="DFG_LUT",Qi.minFilter=Xn,Qi.magFilter=Xn,Qi.wrapS=$i,Qi.wrapT=$i,Qi.generateMipmaps=!1,Qi.needsUpdate=!0),Qi}var ma=class{constructor(e={}){let{canvas:t=eg(),context:n=null,depth:s=!0,stencil:r=!1,alpha:a=!1,antialias:o=!1,premultipliedAlpha:l=!0,preserveDrawingBuffer:c=!1,powerPreference:u="default",failIfMajorPerformanceCaveat:d=!1,reversedDepthBuffer:h=!1,outputBufferType:f=Qn}=e;this.isWebGLRenderer=!0;let g;if(n!==null){if(typeof WebGLRenderingContext<"u"&&n instanceof WebGLRenderingContext)throw new Error("THREE.WebGLRenderer: WebGL 1 is not supported since r163.");g=n.getContextAttributes().alpha}else g=a;let b=f,m=new Set([bc,yc,xc]),p=new Set([Qn,Ui,fa,dr,gc,_c]),x=new Uint32Array(4),A=new Int32Array(4),S={textures:[],min:[],max:[],resolution:[]},R=null,E=null,v=[],T=[],B=null;this.domElement=t,this.debug={checkShaderErrors:!0,diagnostics:{keywords:!1},onShaderError:null},this.autoClear=!0,this.autoClearColor=!0,this.autoClearDepth=!0,this.autoClearStencil=!0,this.sortObjects=!0,this.clippingPlanes=[],this.localClippingEnabled=!1,this.toneMapping=ji,this.toneMappingExposure=1,this.transmissionResolutionScale=1;let F=this,L=!1,z=null,G=null,N=null,H=null;this._outputColorSpace=di;let Y=0,W=0,ce=null,K=-1,Q=null,se=new $t,de=new $t,ue=null,ee=new st(0),me=0,ve=t.width,Ae=t.height,Se=1,He=null,nt=null,Ve=new $t(0,0,ve,Ae),ht=new $t(0,0,ve,Ae),at=!1,et=new zs,qt=new $l,Ot=!1,an=!1,Lt=new St,bn=new Z,yt=new $t,pn={background:null,fog:null,environment:null,overrideMaterial:null,isScene:!0},Jt=!1;function on(){return ce===null?Se:1}let O=n;function Re(w,k){return t.getContext(w,k)}let qe,it,Me,Dt,ze,Xe,P,y,X,he,ae,_e,xe,te,ie,pe,U,re,ne,we,ge,be,Ge;try{let w={alpha:!0,depth:s,stencil:r,antialias:o,premultipliedAlpha:l,preserveDrawingBuffer:c,powerPreference:u,failIfMajorPerformanceCaveat:d};if("setAttribute"in t&&t.setAttribute("data-engine",`three.js r${"187"}`),t.addEventListener("webglcontextlost",Oe,!1),t.addEventListener("webglcontextrestored",Je,!1),t.addEventListener("webglcontextcreationerror",Ce,!1),O===null){let k="webgl2";if(O=Re(k,w),O===null)throw Re(k)?new Error("THREE.WebGLRenderer: Error creating WebGL context with your selected attributes."):new Error("THREE.WebGLRenderer: Error creating WebGL context.")}Ze()}catch(w){throw t.removeEventListener("webglcontextlost",Oe,!1),t.removeEventListener("webglcontextrestored",Je,!1),t.removeEventListener("webglcontextcreationerror",Ce,!1),je("WebGLRenderer: "+w.message),w}function Ze(){qe=new uS(O),qe.init(),ge=new YM(O,qe),it=new eS(O,qe,e,ge),Me=new XM(O,qe),it.reversedDepthBuffer&&h&&Me.buffers.depth.setReversed(!0),G=O.createFramebuffer(),N=O.createFramebuffer(),H=O.createFramebuffer(),Dt=new pS(O),ze=new IM,Xe=new qM(O,qe,Me,ze,it,ge,Dt),P=new hS(F),y=new gx(O),be=new jb(O,y),X=new dS(O,y,Dt,be),he=new gS(O,X,y,be,Dt),re=new mS(O,it,Xe),ie=new tS(ze),ae=new PM(F,P,qe,it,be,ie),_e=new KM(F,ze),xe=new NM,te=new kM(qe),U=new Kb(F,P,Me,he,g,l),pe=new WM(F,he,it),Ge=new jM(O,Dt,it,Me),ne=new Qb(O,qe,Dt),we=new fS(O,qe,Dt),Dt.programs=ae.programs,F.capabilities=it,F.extensions=qe,F.properties=ze,F.renderLists=xe,F.shadowMap=pe,F.state=Me,F.info=Dt}b!==Qn&&(B=new vS(b,t.width,t.height,o,s,r));let le=new Id(F,O);this.xr=le,this.getContext=function(){return O},this.getContextAttributes=function(){return O.getContextAttributes()},this.forceContextLoss=function(){let w=qe.get("WEBGL_lose_context");w&&w.loseContext()},this.forceContextRestore=function(){let w=qe.get("WEBGL_lose_context");w&&w.restoreContext()},this.getPixelRatio=function(){return Se},this.setPixelRatio=function(w){w!==void 0&&(Se=w,this.setSize(ve,Ae,!1))},this.getSize=function(w){return w.set(ve,Ae)},this.setSize=function(w,k,j=!0){if(le.isPresenting){$e("WebGLRenderer: Can't change size while VR device is presenting.");return}ve=w,Ae=k,t.width=Math.floor(w*Se),t.height=Math.floor(k*Se),j===!0&&(t.style.width=w+"px",t.style.height=k+"px"),B!==null&&B.setSize(t.width,t.height),this.setViewport(0,0,w,k)},this.getDrawingBufferSize=function(w){return w.set(ve*Se,Ae*Se).floor()},this.setDrawingBufferSize=function(w,k,j){ve=w,Ae=k,Se=j,t.width=Math.floor(w*j),t.height=Math.floor(k*j),this.setViewport(0,0,w,k)},this.setEffects=function(w){if(b===Qn){je("WebGLRenderer: setEffects() requires outputBufferType set to HalfFloatType or FloatType.");return}if(w){for(let k=0;k<w.length;k++)if(w[k].isOutputPass===!0){$e("WebGLRenderer: OutputPass is not needed in setEffects(). Tone mapping and color space conversion are applied automatically.");break}}B.setEffects(w||[])},this.getCurrentViewport=function(w){return w.copy(se)},this.getViewport=function(w){return w.copy(Ve)},this.setViewport=function(w,k,j,q){w.isVector4?Ve.set(w.x,w.y,w.z,w.w):Ve.set(w,k,j,q),Me.viewport(se.copy(Ve).multiplyScalar(on()).round())},this.getScissor=function(w){return w.copy(ht)},this.setScissor=function(w,k,j,q){w.isVector4?ht.set(w.x,w.y,w.z,w.w):ht.set(w,k,j,q),Me.scissor(de.copy(ht).multiplyScalar(on()).round())},this.getScissorTest=function(){return at},this.setScissorTest=function(w){Me.setScissorTest(at=w)},this.setOpaqueSort=function(w){He=w},this.setTransparentSort=function(w){nt=w},this.getClearColor=function(w){return w.copy(U.getClearColor())},this.setClearColor=function(){U.setClearColor(...arguments)},this.getClearAlpha=function(){return U.getClearAlpha()},this.setClearAlpha=function(){U.setClearAlpha(...arguments)},this.clear=function(w=!0,k=!0,j=!0){let q=0;if(w){let $=!1;if(ce!==null){let Te=ce.texture.format;$=m.has(Te)}if($){let Te=ce.texture.type,Pe=p.has(Te),Ee=U.getClearColor(),Ie=U.getClearAlpha(),ke=Ee.r,Ke=Ee.g,ut=Ee.b;Pe?(x[0]=ke,x[1]=Ke,x[2]=ut,x[3]=Ie,O.clearBufferuiv(O.COLOR,0,x)):(A[0]=ke,A[1]=Ke,A[2]=ut,A[3]=Ie,O.clearBufferiv(O.COLOR,0,A))}else q|=O.COLOR_BUFFER_BIT}k&&(q|=O.DEPTH_BUFFER_BIT,this.state.buffers.depth.setMask(!0)),j&&(q|=O.STENCIL_BUFFER_BIT,this.state.buffers.stencil.setMask(4294967295)),q!==0&&O.clear(q)},this.clearColor=function(){this.clear(!0,!1,!1)},this.clearDepth=function(){this.clear(!1,!0,!1)},this.clearStencil=function(){this.clear(!1,!1,!0)},this.setNodesHandler=function(w){w.setRenderer(this),z=w},this.dispose=function(){t.removeEventListener("webglcontextlost",Oe,!1),t.removeEventListener("webglcontextrestored",Je,!1),t.removeEventListener("webglcontextcreationerror",Ce,!1),U.dispose(),xe.dispose(),te.dispose(),Xe.dispose(),ze.dispose(),P.dispose(),he.dispose(),X.dispose(),be.dispose(),Ge.dispose(),ae.dispose(),le.dispose(),le.removeEventListener("sessionstart",Do),le.removeEventListener("sessionend",ki),ts.stop()};function Oe(w){w.preventDefault(),gd("WebGLRenderer: Context Lost."),L=!0}function Je(){gd("WebGLRenderer: Context Restored."),L=!1;let w=Dt.autoReset,k=pe.enabled,j=pe.autoUpdate,q=pe.needsUpdate,$=pe.type;Ze(),Dt.autoReset=w,pe.enabled=k,pe.autoUpdate=j,pe.needsUpdate=q,pe.type=$}function Ce(w){je("WebGLRenderer: A WebGL context could not be created. Reason: ",w.statusMessage)}function rt(w){let k=w.target;k.removeEventListener("dispose",rt),kt(k)}function kt(w){On(w),ze.remove(w)}function On(w){let k=ze.get(w).programs;k!==void 0&&(k.forEach(function(j){ae.releaseProgram(j)}),w.isShaderMaterial&&ae.releaseShaderCache(w))}this.renderBufferDirect=function(w,k,j,q,$,Te){k===null&&(k=pn);let Pe=$.isMesh&&$.matrixWorld.determinantAffine()<0,Ee=wa(w,k,j,q,$);Me.setMaterial(q,Pe);let Ie=j.index,ke=1;if(q.wireframe===!0){if(Ie=X.getWireframeAttribute(j),Ie===void 0)return;ke=2}let Ke=j.drawRange,ut=j.attributes.position,Be=Ke.start*ke,dt=(Ke.start+Ke.count)*ke;Te!==null&&(Be=Math.max(Be,Te.start*ke),dt=Math.min(dt,(Te.start+Te.count)*ke)),Ie!==null?(Be=Math.max(Be,0),dt=Math.min(dt,Ie.count)):ut!=null&&(Be=Math.max(Be,0),dt=Math.min(dt,ut.count));let Zt=dt-Be;if(Zt<0||Zt===1/0)return;be.setup($,q,Ee,j,Ie);let Rt,Pt=ne;if(Ie!==null&&(Rt=y.get(Ie),Pt=we,Pt.setIndex(Rt)),$.isMesh)q.wireframe===!0?(Me.setLineWidth(q.wireframeLinewidth*on()),Pt.setMode(O.LINES)):Pt.setMode(O.TRIANGLES);else if($.isLine){let mn=q.linewidth;mn===void 0&&(mn=1),Me.setLineWidth(mn*on()),$.isLineSegments?Pt.setMode(O.LINES):$.isLineLoop?Pt.setMode(O.LINE_LOOP):Pt.setMode(O.LINE_STRIP)}else $.isPoints?Pt.setMode(O.POINTS):$.isSprite&&Pt.setMode(O.TRIANGLES);if($.isBatchedMesh)if(qe.get("WEBGL_multi_draw"))Pt.renderMultiDraw($._multiDrawStarts,$._multiDrawCounts,$._multiDrawCount);else{let mn=$._multiDrawStarts,Fe=$._multiDrawCounts,ln=$._multiDrawCount,mt=Ie?y.get(Ie).bytesPerElement:1,is=ze.get(q).currentProgram.getUniforms();for(let cn=0;cn<ln;cn++)is.setValue(O,"_gl_DrawID",cn),Pt.render(mn[cn]/mt,Fe[cn])}else if($.isInstancedMesh)Pt.renderInstances(Be,Zt,$.count);else if(j.isInstancedBufferGeometry){let mn=j._maxInstanceCount!==void 0?j._maxInstanceCount:1/0,Fe=Math.min(j.instanceCount,mn);Pt.renderInstances(Be,Zt,Fe)}else Pt.render(Be,Zt)};function ba(w,k,j,q){z!==null&&w.isNodeMaterial&&z.setObject(q,w),Ot===!0&&ie.setState(w,j,!1),w.transparent===!0&&w.side===Ki&&w.forceSinglePass===!1?(w.side=qn,w.needsUpdate=!0,zi(w,k,q),w.side=Ws,w.needsUpdate=!0,zi(w,k,q),w.side=Ki):zi(w,k,q)}this.compile=function(w,k,j=null){j===null&&(j=w),z!==null&&z.renderStart(w,k,j),E=te.get(j),E.init(k),T.push(E),j.traverseVisible(function($){$.isLight&&$.layers.test(k.layers)&&(E.pushLight($),$.castShadow&&E.pushShadow($))}),w!==j&&w.traverseVisible(function($){$.isLight&&$.layers.test(k.layers)&&(E.pushLight($),$.castShadow&&E.pushShadow($))}),E.setupLights(),z!==null&&z.updateLights(E.state.lightsArray),an=this.localClippingEnabled,Ot=ie.init(this.clippingPlanes,an),Ot===!0&&ie.setGlobalState(this.clippingPlanes,k),z!==null&&pe.render(E.state.shadowsArray,j,k);let q=new Set;return w.traverse(function($){if(!($.isMesh||$.isPoints||$.isLine||$.isSprite))return;let Te=$.material;if(Te)if(Array.isArray(Te))for(let Pe=0;Pe<Te.length;Pe++){let Ee=Te[Pe];ba(Ee,j,k,$),q.add(Ee)}else ba(Te,j,k,$),q.add(Te)}),E=T.pop(),z!==null&&z.renderEnd(),q},this.compileAsync=function(w,k,j=null){let q=this.compile(w,k,j);return new Promise($=>{function Te(){if(q.forEach(function(Pe){let Ie=ze.get(Pe).currentProgram;(Ie===void 0||Ie.isReady())&&q.delete(Pe)}),q.size===0){$(w);return}setTimeout(Te,10)}qe.get("KHR_parallel_shader_compile")!==null?Te():setTimeout(Te,10)})};let mr=null;function Sh(w){mr&&mr(w)}function Do(){ts.stop()}function ki(){ts.start()}let ts=new Pg;ts.setAnimationLoop(Sh),typeof self<"u"&&ts.setContext(self),this.setAnimationLoop=function(w){mr=w,le.setAnimationLoop(w),w===null?ts.stop():ts.start()},le.addEventListener("sessionstart",Do),le.addEventListener("sessionend",ki),this.render=function(w,k){if(k!==void 0&&k.isCamera!==!0){je("WebGLRenderer.render: camera is not an instance of THREE.Camera.");return}if(L===!0)return;z!==null&&z.renderStart(w,k);let j=le.enabled===!0&&le.isPresenting===!0,q=B!==null&&(ce===null||j)&&B.begin(F,ce);if(w.matrixWorldAutoUpdate===!0&&w.updateMatrixWorld(),k.parent===null&&k.matrixWorldAutoUpdate===!0&&k.updateMatrixWorld(),le.enabled===!0&&le.isPresenting===!0&&(B===null||B.isCompositing()===!1)&&(le.cameraAutoUpdate===!0&&le.updateCamera(k),k=le.getCamera()),w.isScene===!0&&w.onBeforeRender(F,w,k,ce),E=te.get(w,T.length),E.init(k),E.state.textureUnits=Xe.getTextureUnits(),T.push(E),Lt.multiplyMatrices(k.projectionMatrix,k.matrixWorldInverse),k.isArrayCamera?qt.setFromArrayCamera(k):et.setFromProjectionMatrix(Lt,Si,k.reversedDepth),an=this.localClippingEnabled,Ot=ie.init(this.clippingPlanes,an),R=xe.get(w,v.length),R.init(),v.push(R),this.info.render.frame++,le.enabled===!0&&le.isPresenting===!0){let Pe=F.xr.getDepthSensingMesh();Pe!==null&&ns(Pe,k,-1/0,F.sortObjects)}ns(w,k,0,F.sortObjects),R.finish(),z!==null&&z.updateLights(E.state.lightsArray),F.sortObjects===!0&&R.sort(He,nt),Jt=le.enabled===!1||le.isPresenting===!1||le.hasDepthSensing()===!1,Jt&&U.addToRenderList(R,w),this.info.autoReset===!0&&this.info.reset(),Ot===!0&&ie.beginShadows();let $=E.state.shadowsArray;if(pe.render($,w,k),Ot===!0&&ie.endShadows(),(q&&B.hasRenderPass())===!1){let Pe=R.opaque,Ee=R.transmissive;if(E.setupLights(),k.isArrayCamera){let Ie=k.cameras;if(Ee.length>0)for(let ke=0,Ke=Ie.length;ke<Ke;ke++){let ut=Ie[ke];Ti(Pe,Ee,w,ut)}Jt&&U.render(w);for(let ke=0,Ke=Ie.length;ke<Ke;ke++){let ut=Ie[ke];Sa(R,w,ut,ut.viewport)}}else Ee.length>0&&Ti(Pe,Ee,w,k),Jt&&U.render(w),Sa(R,w,k)}ce!==null&&W===0&&(Xe.updateMultisampleRenderTarget(ce),Xe.updateRenderTargetMipmap(ce)),q&&B.end(F),w.isScene===!0&&w.onAfterRender(F,w,k),be.resetDefaultState(),K=-1,Q=null,T.pop(),T.length>0?(E=T[T.length-1],Xe.setTextureUnits(E.state.textureUnits),Ot===!0&&ie.setGlobalState(F.clippingPlanes,E.state.camera)):E=null,v.pop(),v.length>0?R=v[v.length-1]:R=null,z!==null&&z.renderEnd()};function ns(w,k,j,q){if(w.visible===!1)return;if(w.layers.test(k.layers)){if(w.isGroup)j=w.renderOrder;else if(w.isLOD)w.autoUpdate===!0&&w.update(k);else if(w.isLight)E.pushLight(w),w.castShadow&&E.pushShadow(w);else if(w.isSprite){let Pe=k.isArrayCamera?qt:et;if(!w.frustumCulled||w.intersectsFrustum(Pe)){q&&yt.setFromMatrixPosition(w.matrixWorld).applyMatrix4(Lt);let Ee=he.update(w),Ie=w.material;Ie.visible&&R.push(w,Ee,Ie,j,yt.z,null,k)}}else if(w.isMesh||w.isLine||w.isPoints){let Pe=k.isArrayCamera?qt:et;if(!w.frustumCulled||w.intersectsFrustum(Pe)){let Ee=he.update(w),Ie=w.material;if(q&&(w.boundingSphere!==void 0?(w.boundingSphere===null&&w.computeBoundingSphere(),yt.copy(w.boundingSphere.center)):(Ee.boundingSphere===null&&Ee.computeBoundingSphere(),yt.copy(Ee.boundingSphere.center)),yt.applyMatrix4(w.matrixWorld).applyMatrix4(Lt)),Array.isArray(Ie)){let ke=Ee.groups;for(let Ke=0,ut=ke.length;Ke<ut;Ke++){let Be=ke[Ke],dt=Ie[Be.materialIndex];dt&&dt.visible&&R.push(w,Ee,dt,j,yt.z,Be,k)}}else Ie.visible&&R.push(w,Ee,Ie,j,yt.z,null,k)}}}let Te=w.children;for(let Pe=0,Ee=Te.length;Pe<Ee;Pe++)ns(Te[Pe],k,j,q)}function Sa(w,k,j,q){let{opaque:$,transmissive:Te,transparent:Pe}=w;E.setupLightsView(j),Ot===!0&&ie.setGlobalState(F.clippingPlanes,j),q&&Me.viewport(se.copy(q)),$.length>0&&Kt($,k,j),Te.length>0&&Kt(Te,k,j),Pe.length>0&&Kt(Pe,k,j),Me.buffers.depth.setTest(!0),Me.buffers.depth.setMask(!0),Me.buffers.color.setMask(!0),Me.setPolygonOffset(!1)}function Ti(w,k,j,q){if((j.isScene===!0?j.overrideMaterial:null)!==null)return;if(E.state.transmissionRenderTarget[q.id]===void 0){let Be=qe.has("EXT_color_buffer_half_float")||qe.has("EXT_color_buffer_float");E.state.transmissionRenderTarget[q.id]=new fi(1,1,{generateMipmaps:!0,type:Be?Oi:Qn,minFilter:bs,samples:Math.max(4,it.samples),stencilBuffer:r,resolveDepthBuffer:!1,resolveStencilBuffer:!1,storeMultisampledDepthBuffer:!1,storeMultisampledStencilBuffer:!1,colorSpace:vt.workingColorSpace})}let Te=E.state.transmissionRenderTarget[q.id],Pe=q.viewport||se;Te.setSize(Pe.z*F.transmissionResolutionScale,Pe.w*F.transmissionResolutionScale);let Ee=F.getRenderTarget(),Ie=F.getActiveCubeFace(),ke=F.getActiveMipmapLevel();F.setRenderTarget(Te),F.getClearColor(ee),me=F.getClearAlpha(),me<1&&F.setClearColor(16777215,.5),F.clear(),Jt&&U.render(j);let Ke=F.toneMapping;F.toneMapping=ji;let ut=q.viewport;if(q.viewport!==void 0&&(q.viewport=void 0),E.setupLightsView(q),Ot===!0&&ie.setGlobalState(F.clippingPlanes,q),Kt(w,j,q),Xe.updateMultisampleRenderTarget(Te),Xe.updateRenderTargetMipmap(Te),qe.has("WEBGL_multisampled_render_to_texture")===!1){let Be=!1;for(let dt=0,Zt=k.length;dt<Zt;dt++){let Rt=k[dt],{object:Pt,geometry:mn,material:Fe,group:ln}=Rt;if(Fe.side===Ki&&Pt.layers.test(q.layers)){let mt=Fe.side;Fe.side=qn,Fe.needsUpdate=!0,nn(Pt,j,q,mn,Fe,ln),Fe.side=mt,Fe.needsUpdate=!0,Be=!0}}Be===!0&&(Xe.updateMultisampleRenderTarget(Te),Xe.updateRenderTargetMipmap(Te))}F.setRenderTarget(Ee,Ie,ke),F.setClearColor(ee,me),ut!==void 0&&(q.viewport=ut),F.toneMapping=Ke}function Kt(w,k,j){let q=k.isScene===!0?k.overrideMaterial:null;for(let $=0,Te=w.length;$<Te;$++){let Pe=w[$],{object:Ee,geometry:Ie,group:ke}=Pe,Ke=Pe.material;Ke.allowOverride===!0&&q!==null&&(Ke=q),Ee.layers.test(j.layers)&&nn(Ee,k,j,Ie,Ke,ke)}}function nn(w,k,j,q,$,Te){z!==null&&$.isNodeMaterial&&z.setObject(w,$),w.onBeforeRender(F,k,j,q,$,Te),w.modelViewMatrix.multiplyMatrices(j.matrixWorldInverse,w.matrixWorld),w.normalMatrix.getNormalMatrix(w.modelViewMatrix),$.onBeforeRender(F,k,j,q,w,Te),$.transparent===!0&&$.side===Ki&&$.forceSinglePass===!1?($.side=qn,$.needsUpdate=!0,F.renderBufferDirect(j,k,q,$,w,Te),$.side=Ws,$.needsUpdate=!0,F.renderBufferDirect(j,k,q,$,w,Te),$.side=Ki):F.renderBufferDirect(j,k,q,$,w,Te),w.onAfterRender(F,k,j,q,$,Te)}function sn(w){let k=0;for(let j of w)j.texture!==null&&k++;return k}function zi(w,k,j){k.isScene!==!0&&(k=pn);let q=ze.get(w),$=E.state.lights,Te=E.state.shadowsArray,Pe=$.state.version,Ee=ae.getParameters(w,$.state,Te,k,j,E.state.lightProbeGridArray),Ie=ae.getProgramCacheKey(Ee),ke=q.programs;q.environment=w.isMeshStandardMaterial||w.isMeshLambertMaterial||w.isMeshPhongMaterial?k.environment:null,q.fog=k.fog;let Ke=w.isMeshStandardMaterial||w.isMeshLambertMaterial&&!w.envMap||w.isMeshPhongMaterial&&!w.envMap;q.envMap=P.get(w.envMap||q.environment,Ke),q.envMapRotation=q.environment!==null&&w.envMap===null?k.environmentRotation:w.envMapRotation,ke===void 0&&(w.addEventListener("dispose",rt),ke=new Map,q.programs=ke,q.programVariants=new Map);let ut=ke.get(Ie);if(ut!==void 0){if(q.currentProgram===ut&&q.lightsStateVersion===Pe)return Ma(w,Ee),ut}else Ee.uniforms=ae.getUniforms(w),z!==null&&w.isNodeMaterial&&z.build(w,j,Ee),w.onBeforeCompile(Ee,F),ut=ae.acquireProgram(Ee,Ie),ke.set(Ie,ut),q.uniforms=Ee.uniforms;let Be=q.uniforms;return(!w.isShaderMaterial&&!w.isRawShaderMaterial||w.clipping===!0)&&(Be.clippingPlanes=ie.uniform),Ma(w,Ee),q.needsLights=Ts(w),q.lightsStateVersion=Pe,q.needsLights&&(Be.ambientLightColor.value=$.state.ambient,Be.lightProbe.value=$.state.probe,Be.sunLights.value=$.state.sun,Be.sunLightShadows.value=$.state.sunShadow,Be.directionalLights.value=$.state.directional,Be.directionalLightShadows.value=$.state.directionalShadow,Be.spotLights.value=$.state.spot,Be.spotLightShadows.value=$.state.spotShadow,Be.rectAreaLights.value=$.state.rectArea,Be.ltc_1.value=$.state.rectAreaLTC1,Be.ltc_2.value=$.state.rectAreaLTC2,Be.pointLights.value=$.state.point,Be.pointLightShadows.value=$.state.pointShadow,Be.hemisphereLights.value=$.state.hemi,Be.sunShadowMatrix.value=$.state.sunShadowMatrix,Be.sunShadowCascade.value=$.state.sunShadowCascade,Be.directionalShadowMatrix.value=$.state.directionalShadowMatrix,Be.spotLightMatrix.value=$.state.spotLightMatrix,Be.spotLightMap.value=$.state.spotLightMap,Be.pointShadowMatrix.value=$.state.pointShadowMatrix),q.numLightProbeGrids=sn(E.state.lightProbeGridArray),q.currentProgram=ut,q.uniformsList=null,ut}function ni(w,k,j,q,$){let Te=ze.get(w),Pe=Te.currentProgram.id+","+q+","+$,Ee=Te.programVariants.get(Pe);return Ee===void 0?(Ee=zi(w,k,j),Te.programVariants.set(Pe,Ee)):(Te.currentProgram=Ee,Te.uniformsList=null,Te.outputColorSpace=q,Te.toneMapping=$),Ee}function ws(w){if(w.uniformsList===null){let k=w.currentProgram.getUniforms();w.uniformsList=pa.seqWithValue(k.seq,w.uniforms)}return w.uniformsList}function Ma(w,k){let j=ze.get(w);j.outputColorSpace=k.outputColorSpace,j.batching=k.batching,j.batchingColor=k.batchingColor,j.instancing=k.instancing,j.instancingColor=k.instancingColor,j.instancingMorph=k.instancingMorph,j.skinning=k.skinning,j.morphTargets=k.morphTargets,j.morphNormals=k.morphNormals,j.morphColors=k.morphColors,j.morphTargetsCount=k.morphTargetsCount,j.numClippingPlanes=k.numClippingPlanes,j.numIntersection=k.numClipIntersection,j.vertexAlphas=k.vertexAlphas,j.vertexTangents=k.vertexTangents,j.toneMapping=k.toneMapping}function wa(w,k,j,q,$){k.isScene!==!0&&(k=pn),Xe.resetTextureUnits();let Te=k.fog,Pe=q.isMeshStandardMaterial||q.isMeshLambertMaterial||q.isMeshPhongMaterial?k.environment:null,Ee=ce===null?F.outputColorSpace:ce.isXRRenderTarget===!0?ce.texture.colorSpace:vt.workingColorSpace,Ie=q.isMeshStandardMaterial||q.isMeshLambertMaterial&&!q.envMap||q.isMeshPhongMaterial&&!q.envMap,ke=P.get(q.envMap||Pe,Ie),Ke=q.vertexColors===!0&&!!j.attributes.color&&j.attributes.color.itemSize===4,ut=!!j.attributes.tangent&&(!!q.normalMap||q.anisotropy>0),Be=!!j.morphAttributes.position,dt=!!j.morphAttributes.normal,Zt=!!j.morphAttributes.color,Rt=ji;q.toneMapped&&(ce===null||ce.isXRRenderTarget===!0)&&(Rt=F.toneMapping);let Pt=j.morphAttributes.position||j.morphAttributes.normal||j.morphAttributes.color,mn=Pt!==void 0?Pt.length:0,Fe=ze.get(q),ln=E.state.lights;if(Ot===!0&&(an===!0||w!==Q)){let It=w===Q&&q.id===K;ie.setState(q,w,It)}let mt=!1,is=!1;q.version===Fe.__version?Fe.needsLights&&Fe.lightsStateVersion!==ln.state.version||$.isBatchedMesh&&Fe.batching===!1||!$.isBatchedMesh&&Fe.batching===!0||$.isBatchedMesh&&Fe.batchingColor===!0&&$._colorsTexture===null||$.isBatchedMesh&&Fe.batchingColor===!1&&$._colorsTexture!==null||$.isInstancedMesh&&Fe.instancing===!1||!$.isInstancedMesh&&Fe.instancing===!0||$.isSkinnedMesh&&Fe.skinning===!1||!$.isSkinnedMesh&&Fe.skinning===!0||$.isInstancedMesh&&Fe.instancingColor===!0&&$.instanceColor===null||$.isInstancedMesh&&Fe.instancingColor===!1&&$.instanceColor!==null||$.isInstancedMesh&&Fe.instancingMorph===!0&&$.morphTexture===null||$.isInstancedMesh&&Fe.instancingMorph===!1&&$.morphTexture!==null||Fe.envMap!==ke||q.fog===!0&&Fe.fog!==Te||Fe.numClippingPlanes!==void 0&&(Fe.numClippingPlanes!==ie.numPlanes||Fe.numIntersection!==ie.numIntersection)||Fe.vertexAlphas!==Ke||Fe.vertexTangents!==ut||Fe.morphTargets!==Be||Fe.morphNormals!==dt||Fe.morphColors!==Zt||Fe.morphTargetsCount!==mn||Fe.numLightProbeGrids!==sn(E.state.lightProbeGridArray)?mt=!0:(Fe.outputColorSpace!==Ee||Fe.toneMapping!==Rt)&&(is=!0):(mt=!0,Fe.__version=q.version);let cn=Fe.currentProgram;(mt===!0||is===!0)&&(cn=is===!0?ni(q,k,$,Ee,Rt):zi(q,k,$),z&&q.isNodeMaterial&&z.onUpdateProgram(q,cn,Fe));let vr=!1,Vi=!1,ss=!1,ot=cn.getUniforms(),jt=Fe.uniforms;if(Me.useProgram(cn.program)&&(vr=!0,Vi=!0,ss=!0),q.id!==K&&(K=q.id,Vi=!0),vr||Q!==w){Me.buffers.depth.getReversed()&&w.reversedDepth!==!0&&(w._reversedDepth=!0,w.updateProjectionMatrix()),ot.setValue(O,"projectionMatrix",w.projectionMatrix),ot.setValue(O,"viewMatrix",w.matrixWorldInverse);let hn=ot.map.cameraPosition;hn!==void 0&&hn.setValue(O,bn.setFromMatrixPosition(w.matrixWorld)),it.logarithmicDepthBuffer&&ot.setValue(O,"logDepthBufFC",2/(Math.log(w.far+1)/Math.LN2)),(q.isMeshPhongMaterial||q.isMeshToonMaterial||q.isMeshLambertMaterial||q.isMeshBasicMaterial||q.isMeshStandardMaterial||q.isShaderMaterial)&&ot.setValue(O,"isOrthographic",w.isOrthographicCamera===!0),Q!==w&&(Q=w,Vi=!0,ss=!0)}if(Fe.needsLights&&(ln.state.sunShadowMap.length>0&&ot.setValue(O,"sunShadowMap",ln.state.sunShadowMap,Xe),ln.state.directionalShadowMap.length>0&&ot.setValue(O,"directionalShadowMap",ln.state.directionalShadowMap,Xe),ln.state.spotShadowMap.length>0&&ot.setValue(O,"spotShadowMap",ln.state.spotShadowMap,Xe),ln.state.pointShadowMap.length>0&&ot.setValue(O,"pointShadowMap",ln.state.pointShadowMap,Xe)),$.isSkinnedMesh){ot.setOptional(O,$,"bindMatrix"),ot.setOptional(O,$,"bindMatrixInverse");let It=$.skeleton;It&&(It.boneTexture===null&&It.computeBoneTexture(),ot.setValue(O,"boneTexture",It.boneTexture,Xe))}$.isBatchedMesh&&(ot.setOptional(O,$,"batchingTexture"),ot.setValue(O,"batchingTexture",$._matricesTexture,Xe),ot.setOptional(O,$,"batchingIdTexture"),ot.setValue(O,"batchingIdTexture",$._indirectTexture,Xe),ot.setOptional(O,$,"batchingColorTexture"),$._colorsTexture!==null&&ot.setValue(O,"batchingColorTexture",$._colorsTexture,Xe));let Bn=j.morphAttributes;if((Bn.position!==void 0||Bn.normal!==void 0||Bn.color!==void 0)&&re.update($,j,cn),(Vi||Fe.receiveShadow!==$.receiveShadow)&&(Fe.receiveShadow=$.receiveShadow,ot.setValue(O,"receiveShadow",$.receiveShadow)),(q.isMeshStandardMaterial||q.isMeshLambertMaterial||q.isMeshPhongMaterial)&&q.envMap===null&&k.environment!==null&&(jt.envMapIntensity.value=k.environmentIntensity),jt.dfgLUT!==void 0&&(jt.dfgLUT.value=ew()),Vi){if(ot.setValue(O,"toneMappingExposure",F.toneMappingExposure),Fe.needsLights&&gr(jt,ss),Te&&q.fog===!0&&_e.refreshFogUniforms(jt,Te),_e.refreshMaterialUniforms(jt,q,Se,Ae,E.state.transmissionRenderTarget[w.id]),Fe.needsLights&&Fe.numLightProbeGrids>0){let It=S,hn=0;for(let Nn of E.state.lightProbeGridArray)Nn.texture!==null&&(It.textures[hn]=Nn.texture,It.min[hn]=Nn.boundingBox.min,It.max[hn]=Nn.boundingBox.max,It.resolution[hn]=Nn.resolution,hn++);for(let Nn in It)It[Nn].length=hn;jt.probesSH.value=It.textures,jt.probesMin.value=It.min,jt.probesMax.value=It.max,jt.probesResolution.value=It.resolution}pa.upload(O,ws(Fe),jt,Xe)}if(q.isShaderMaterial&&q.uniformsNeedUpdate===!0&&(pa.upload(O,ws(Fe),jt,Xe),q.uniformsNeedUpdate=!1),q.isSpriteMaterial&&ot.setValue(O,"center",$.center),ot.setValue(O,"modelViewMatrix",$.modelViewMatrix),ot.setValue(O,"normalMatrix",$.normalMatrix),ot.setValue(O,"modelMatrix",$.matrixWorld),q.uniformsGroups!==void 0){let It=q.uniformsGroups;for(let hn=0,Nn=It.length;hn<Nn;hn++){let Fo=It[hn];Ge.update(Fo,cn),Ge.bind(Fo,cn)}}return cn}function gr(w,k){w.ambientLightColor.needsUpdate=k,w.lightProbe.needsUpdate=k,w.sunLights.needsUpdate=k,w.sunLightShadows.needsUpdate=k,w.directionalLights.needsUpdate=k,w.directionalLightShadows.needsUpdate=k,w.pointLights.needsUpdate=k,w.pointLightShadows.needsUpdate=k,w.spotLights.needsUpdate=k,w.spotLightShadows.needsUpdate=k,w.rectAreaLights.needsUpdate=k,w.hemisphereLights.needsUpdate=k}function Ts(w){return w.isMeshLambertMaterial||w.isMeshToonMaterial||w.isMeshPhongMaterial||w.isMeshStandardMaterial||w.isShadowMaterial||w.isShaderMaterial&&w.lights===!0}this.getActiveCubeFace=function(){return Y},this.getActiveMipmapLevel=function(){return W},this.getRenderTarget=function(){return ce},this.setRenderTargetTextures=function(w,k,j){let q=ze.get(w);q.__autoAllocateDepthBuffer=w.resolveDepthBuffer===!1,q.__autoAllocateDepthBuffer===!1&&(q.__useRenderToTexture=!1),ze.get(w.texture).__webglTexture=k,ze.get(w.depthTexture).__webglTexture=q.__autoAllocateDepthBuffer?void 0:j,q.__hasExternalTextures=!0},this.setRenderTargetFramebuffer=function(w,k){let j=ze.get(w);j.__webglFramebuffer=k,j.__useDefaultFramebuffer=k===void 0},this.setRenderTarget=function(w,k=0,j=0){ce=w,Y=k,W=j;let q=null,$=!1,Te=!1;if(w){let Ee=ze.get(w);if(Ee.__useDefaultFramebuffer!==void 0){Me.bindFramebuffer(O.FRAMEBUFFER,Ee.__webglFramebuffer),se.copy(w.viewport),de.copy(w.scissor),ue=w.scissorTest,Me.viewport(se),Me.scissor(de),Me.setScissorTest(ue),K=-1;return}else if(Ee.__webglFramebuffer===void 0)Xe.setupRenderTarget(w);else if(Ee.__hasExternalTextures)Xe.rebindTextures(w,ze.get(w.texture).__webglTexture,ze.get(w.depthTexture).__webglTexture);else if(w.depthBuffer){let Ke=w.depthTexture;if(Ee.__boundDepthTexture!==Ke){if(Ke!==null&&ze.has(Ke)&&(w.width!==Ke.image.width||w.height!==Ke.image.height))throw new Error("THREE.WebGLRenderer: Attached DepthTexture is initialized to the incorrect size.");Xe.setupDepthRenderbuffer(w)}}let Ie=w.texture;(Ie.isData3DTexture||Ie.isDataArrayTexture||Ie.isCompressedArrayTexture)&&(Te=!0);let ke=ze.get(w).__webglFramebuffer;w.isWebGLCubeRenderTarget?(Array.isArray(ke[k])?q=ke[k][j]:q=ke[k],$=!0):w.samples>0&&Xe.useMultisampledRTT(w)===!1?q=ze.get(w).__webglMultisampledFramebuffer:Array.isArray(ke)?q=ke[j]:q=ke,se.copy(w.viewport),de.copy(w.scissor),ue=w.scissorTest}else se.copy(Ve).multiplyScalar(Se).floor(),de.copy(ht).multiplyScalar(Se).floor(),ue=at;if(j!==0&&(q=G),Me.bindFramebuffer(O.FRAMEBUFFER,q)&&Me.drawBuffers(w,q),Me.viewport(se),Me.scissor(de),Me.setScissorTest(ue),$){let Ee=ze.get(w.texture);O.framebufferTexture2D(O.FRAMEBUFFER,O.COLOR_ATTACHMENT0,O.TEXTURE_CUBE_MAP_POSITIVE_X+k,Ee.__webglTexture,j)}else if(Te){let Ee=k;for(let Ie=0;Ie<w.textures.length;Ie++){let ke=ze.get(w.textures[Ie]);O.framebufferTextureLayer(O.FRAMEBUFFER,O.COLOR_ATTACHMENT0+Ie,ke.__webglTexture,j,Ee)}}else if(w!==null&&j!==0){let Ee=ze.get(w.texture);O.framebufferTexture2D(O.FRAMEBUFFER,O.COLOR_ATTACHMENT0,O.TEXTURE_2D,Ee.__webglTexture,j)}K=-1};function _r(w){let k=ze.get(w);return(k.__readFormat!==w.format||k.__readType!==w.type)&&(k.__readFormat=w.format,k.__readType=w.type,k.__formatReadable=it.textureFormatReadable(w.format),k.__typeReadable=it.textureTypeReadable(w.type)),k}this.readRenderTargetPixels=function(w,k,j,q,$,Te,Pe,Ee=0){if(!(w&&w.isWebGLRenderTarget)){je("WebGLRenderer.readRenderTargetPixels: renderTarget is not THREE.WebGLRenderTarget.");return}let Ie=ze.get(w).__webglFramebuffer;if(w.isWebGLCubeRenderTarget&&Pe!==void 0&&(Ie=Ie[Pe],Array.isArray(Ie)&&(Ie=Ie[0])),Ie){Me.bindFramebuffer(O.FRAMEBUFFER,Ie);try{let ke=w.textures[Ee],Ke=ke.format,ut=ke.type;w.textures.length>1&&O.readBuffer(O.COLOR_ATTACHMENT0+Ee);let Be=_r(ke);if(Be.__formatReadable===!1){je("WebGLRenderer.readRenderTargetPixels: renderTarget is not in RGBA or implementation defined format.");return}if(Be.__typeReadable===!1){je("WebGLRenderer.readRenderTargetPixels: renderTarget is not in UnsignedByteType or implementation defined type.");return}k>=0&&k<=w.width-q&&j>=0&&j<=w.height-$&&O.readPixels(k,j,q,$,ge.convert(Ke),ge.convert(ut),Te)}finally{let ke=ce!==null?ze.get(ce).__webglFramebuffer:null;Me.bindFramebuffer(O.FRAMEBUFFER,ke)}}},this.readRenderTargetPixelsAsync=async function(w,k,j,q,$,Te,Pe,Ee=0){if(!(w&&w.isWebGLRenderTarget))throw new Error("THREE.WebGLRenderer.readRenderTargetPixels: renderTarget is not THREE.WebGLRenderTarget.");let Ie=ze.get(w).__webglFramebuffer;if(w.isWebGLCubeRenderTarget&&Pe!==void 0&&(Ie=Ie[Pe],Array.isArray(Ie)&&(Ie=Ie[0])),Ie)if(k>=0&&k<=w.width-q&&j>=0&&j<=w.height-$){Me.bindFramebuffer(O.FRAMEBUFFER,Ie);let ke=w.textures[Ee],Ke=ke.format,ut=ke.type;w.textures.length>1&&O.readBuffer(O.COLOR_ATTACHMENT0+Ee);let Be=_r(ke);if(Be.__formatReadable===!1)throw new Error("THREE.WebGLRenderer.readRenderTargetPixelsAsync: renderTarget is not in RGBA or implementation defined format.");if(Be.__typeReadable===!1)throw new Error("THREE.WebGLRenderer.readRenderTargetPixelsAsync: renderTarget is not in UnsignedByteType or implementation defined type.");let dt=O.createBuffer();O.bindBuffer(O.PIXEL_PACK_BUFFER,dt),O.bufferData(O.PIXEL_PACK_BUFFER,Te.byteLength,O.STREAM_READ),O.readPixels(k,j,q,$,ge.convert(Ke),ge.convert(ut),0),O.bindBuffer(O.PIXEL_PACK_BUFFER,null);let Zt=ce!==null?ze.get(ce).__webglFramebuffer:null;Me.bindFramebuffer(O.FRAMEBUFFER,Zt);let Rt=O.fenceSync(O.SYNC_GPU_COMMANDS_COMPLETE,0);return O.flush(),await ng(O,Rt,4),O.bindBuffer(O.PIXEL_PACK_BUFFER,dt),O.getBufferSubData(O.PIXEL_PACK_BUFFER,0,Te),O.bindBuffer(O.PIXEL_PACK_BUFFER,null),O.deleteBuffer(dt),O.deleteSync(Rt),Te}else throw new Error("THREE.WebGLRenderer.readRenderTargetPixelsAsync: requested read bounds are out of range.")},this.copyFramebufferToTexture=function(w,k=null,j=0){let q=Math.pow(2,-j),$=Math.floor(w.image.width*q),Te=Math.floor(w.image.height*q),Pe=k!==null?k.x:0,Ee=k!==null?k.y:0;Xe.setTexture2D(w,0),O.copyTexSubImage2D(O.TEXTURE_2D,j,0,0,Pe,Ee,$,Te),Me.unbindTexture()},this.copyTextureToTexture=function(w,k,j=null,q=null,$=0,Te=0){let Pe,Ee,Ie,ke,Ke,ut,Be,dt,Zt,Rt=w.isCompressedTexture?w.mipmaps[Te]:w.image;if(j!==null)Pe=j.max.x-j.min.x,Ee=j.max.y-j.min.y,Ie=j.isBox3?j.max.z-j.min.z:1,ke=j.min.x,Ke=j.min.y,ut=j.isBox3?j.min.z:0;else{let ot=Math.pow(2,-$);Pe=Math.floor(Rt.width*ot),Ee=Math.floor(Rt.height*ot),w.isDataArrayTexture?Ie=Rt.depth:w.isData3DTexture?Ie=Math.floor(Rt.depth*ot):Ie=1,ke=0,Ke=0,ut=0}q!==null?(Be=q.x,dt=q.y,Zt=q.z):(Be=0,dt=0,Zt=0);let Pt=ge.convert(k.format),mn=ge.convert(k.type),Fe;k.isData3DTexture?(Xe.setTexture3D(k,0),Fe=O.TEXTURE_3D):k.isDataArrayTexture||k.isCompressedArrayTexture?(Xe.setTexture2DArray(k,0),Fe=O.TEXTURE_2D_ARRAY):(Xe.setTexture2D(k,0),Fe=O.TEXTURE_2D),Me.activeTexture(O.TEXTURE0),Me.pixelStorei(O.UNPACK_FLIP_Y_WEBGL,k.flipY),Me.pixelStorei(O.UNPACK_PREMULTIPLY_ALPHA_WEBGL,k.premultiplyAlpha),Me.pixelStorei(O.UNPACK_ALIGNMENT,k.unpackAlignment);let ln=Me.getParameter(O.UNPACK_ROW_LENGTH),mt=Me.getParameter(O.UNPACK_IMAGE_HEIGHT),is=Me.getParameter(O.UNPACK_SKIP_PIXELS),cn=Me.getParameter(O.UNPACK_SKIP_ROWS),vr=Me.getParameter(O.UNPACK_SKIP_IMAGES);Me.pixelStorei(O.UNPACK_ROW_LENGTH,Rt.width),Me.pixelStorei(O.UNPACK_IMAGE_HEIGHT,Rt.height),Me.pixelStorei(O.UNPACK_SKIP_PIXELS,ke),Me.pixelStorei(O.UNPACK_SKIP_ROWS,Ke),Me.pixelStorei(O.UNPACK_SKIP_IMAGES,ut);let Vi=w.isDataArrayTexture||w.isData3DTexture,ss=k.isDataArrayTexture||k.isData3DTexture;if(w.isDepthTexture){let ot=ze.get(w),jt=ze.get(k),Bn=ze.get(ot.__renderTarget),It=ze.get(jt.__renderTarget);Me.bindFramebuffer(O.READ_FRAMEBUFFER,Bn.__webglFramebuffer),Me.bindFramebuffer(O.DRAW_FRAMEBUFFER,It.__webglFramebuffer);for(let hn=0;hn<Ie;hn++)Vi&&(O.framebufferTextureLayer(O.READ_FRAMEBUFFER,O.COLOR_ATTACHMENT0,ze.get(w).__webglTexture,$,ut+hn),O.framebufferTextureLayer(O.DRAW_FRAMEBUFFER,O.COLOR_ATTACHMENT0,ze.get(k).__webglTexture,Te,Zt+hn)),O.blitFramebuffer(ke,Ke,ke+Pe,Ke+Ee,Be,dt,Be+Pe,dt+Ee,O.DEPTH_BUFFER_BIT,O.NEAREST);Me.bindFramebuffer(O.READ_FRAMEBUFFER,null),Me.bindFramebuffer(O.DRAW_FRAMEBUFFER,null)}else if($!==0||w.isRenderTargetTexture||ze.has(w)){let ot=ze.get(w),jt=ze.get(k);Me.bindFramebuffer(O.READ_FRAMEBUFFER,N),Me.bindFramebuffer(O.DRAW_FRAMEBUFFER,H);for(let Bn=0;Bn<Ie;Bn++)Vi?O.framebufferTextureLayer(O.READ_FRAMEBUFFER,O.COLOR_ATTACHMENT0,ot.__webglTexture,$,ut+Bn):O.framebufferTexture2D(O.READ_FRAMEBUFFER,O.COLOR_ATTACHMENT0,O.TEXTURE_2D,ot.__webglTexture,$),ss?O.framebufferTextureLayer(O.DRAW_FRAMEBUFFER,O.COLOR_ATTACHMENT0,jt.__webglTexture,Te,Zt+Bn):O.framebufferTexture2D(O.DRAW_FRAMEBUFFER,O.COLOR_ATTACHMENT0,O.TEXTURE_2D,jt.__webglTexture,Te),$!==0?O.blitFramebuffer(ke,Ke,ke+Pe,Ke+Ee,Be,dt,Be+Pe,dt+Ee,O.COLOR_BUFFER_BIT,O.NEAREST):ss?O.copyTexSubImage3D(Fe,Te,Be,dt,Zt+Bn,ke,Ke,Pe,Ee):O.copyTexSubImage2D(Fe,Te,Be,dt,ke,Ke,Pe,Ee);Me.bindFramebuffer(O.READ_FRAMEBUFFER,null),Me.bindFramebuffer(O.DRAW_FRAMEBUFFER,null)}else ss?w.isDataTexture||w.isData3DTexture?O.texSubImage3D(Fe,Te,Be,dt,Zt,Pe,Ee,Ie,Pt,mn,Rt.data):k.isCompressedArrayTexture?O.compressedTexSubImage3D(Fe,Te,Be,dt,Zt,Pe,Ee,Ie,Pt,Rt.data):O.texSubImage3D(Fe,Te,Be,dt,Zt,Pe,Ee,Ie,Pt,mn,Rt):w.isDataTexture?O.texSubImage2D(O.TEXTURE_2D,Te,Be,dt,Pe,Ee,Pt,mn,Rt.data):w.isCompressedTexture?O.compressedTexSubImage2D(O.TEXTURE_2D,Te,Be,dt,Rt.width,Rt.height,Pt,Rt.data):O.texSubImage2D(O.TEXTURE_2D,Te,Be,dt,Pe,Ee,Pt,mn,Rt);Me.pixelStorei(O.UNPACK_ROW_LENGTH,ln),Me.pixelStorei(O.UNPACK_IMAGE_HEIGHT,mt),Me.pixelStorei(O.UNPACK_SKIP_PIXELS,is),Me.pixelStorei(O.UNPACK_SKIP_ROWS,cn),Me.pixelStorei(O.UNPACK_SKIP_IMAGES,vr),Te===0&&k.generateMipmaps===!0&&k.mipmapsAutoUpdate===!0&&O.generateMipmap(Fe),Me.unbindTexture()},this.initRenderTarget=function(w){ze.get(w).__webglFramebuffer===void 0&&Xe.setupRenderTarget(w)},this.initTexture=function(w){w.isCubeTexture?Xe.setTextureCube(w,0):w.isData3DTexture?Xe.setTexture3D(w,0):w.isDataArrayTexture||w.isCompressedArrayTexture?Xe.setTexture2DArray(w,0):Xe.setTexture2D(w,0),Me.unbindTexture()},this.resetState=function(){Y=0,W=0,ce=null,Me.reset(),be.reset()},typeof __THREE_DEVTOOLS__<"u"&&__THREE_DEVTOOLS__.dispatchEvent(new CustomEvent("observe",{detail:this}))}get coordinateSystem(){return Si}get outputColorSpace(){return this._outputColorSpace}set outputColorSpace(e){this._outputColorSpace=e;let t=this.getContext();t.drawingBufferColorSpace=vt._getDrawingBufferColorSpace(e),t.unpackColorSpace=vt._getUnpackColorSpace()}};var Ro=256,tw=2400,nw=6,Vg=.028,iw=.1,Gg=new Z(0,1,0),sw=`
varying vec2 place;
void main() {
  place = (modelMatrix * vec4(position, 1.0)).xz;
  gl_Position = projectionMatrix * viewMatrix * modelMatrix * vec4(position, 1.0);
}`,rw=`
uniform vec3 floorColour; uniform vec3 lineColour; uniform vec2 centre; uniform float radius; uniform float spacing;
varying vec2 place;
void main() {
  vec2 at = place / spacing;
  vec2 wide = fwidth(at);
  vec2 near = abs(fract(at - 0.5) - 0.5) / wide;
  float line = 1.0 - min(min(near.x, near.y), 1.0);
  float away = length(place - centre) / radius;
  gl_FragColor = vec4(mix(floorColour, lineColour, line), 1.0 - smoothstep(0.82, 1.0, away));
}`,sh=class{canvas=new OffscreenCanvas(1,1);renderer;scene=new ar;camera=new Hn;bones;balls;shadows;floor;light=new mo(16777215,1.9);width=0;height=0;constructor(){let e=!aw();this.renderer=new ma({canvas:this.canvas,antialias:e,alpha:!0,stencil:!0}),this.renderer.setPixelRatio(1),this.renderer.autoClear=!1,this.renderer.setClearColor(0,0);let t=new oo(1,1,1,10,1,!0);this.bones=new or(t,new la,Ro),this.balls=new or(new co(1,14,10),new la,Ro);let n=new aa({color:0,transparent:!0,depthWrite:!1});Object.assign(n,{stencilWrite:!0,stencilRef:1,stencilFunc:ud,stencilZPass:hd,stencilFail:Qr}),this.shadows=new or(t,n,Ro);let s=new jn({vertexShader:sw,fragmentShader:rw,transparent:!0,depthWrite:!1,uniforms:{floorColour:{value:new Z},lineColour:{value:new Z},centre:{value:[0,0]},radius:{value:1},spacing:{value:.5}}});this.floor=new Kn(new ao(1,72).rotateX(-Math.PI/2),s),this.floor.renderOrder=-2,this.shadows.renderOrder=-1;for(let r of[this.bones,this.balls,this.shadows])r.frustumCulled=!1;this.scene.add(this.floor,this.shadows,this.bones,this.balls,new fo(16777215,10133680,1.9)),this.scene.add(this.light,this.light.target)}paint(e,t){let n=this.tiles(e);this.renderer.setScissorTest(!0),e.forEach(({canvas:{width:r,height:a},clip:o,pose:l,tint:c},u)=>{let{x:d,y:h}=n[u];this.place(o,l,c),this.aim(o,l,t,r/a),this.renderer.setViewport(d,this.height-h-a,r,a),this.renderer.setScissor(d,this.height-h-a,r,a),this.renderer.clear(),this.renderer.render(this.scene,this.camera)});let s=this.canvas.transferToImageBitmap();e.forEach(({canvas:r},a)=>{let{x:o,y:l}=n[a],{width:c,height:u}=r,d=r.getContext("2d");d?.clearRect(0,0,c,u),d?.drawImage(s,o,l,c,u,0,0,c,u)}),s.close()}tiles(e){let t=[],[n,s,r,a]=[0,0,0,0];for(let{canvas:l}of e)n&&n+l.width>tw&&([n,s]=[0,r]),t.push({x:n,y:s}),n+=l.width,a=Math.max(a,n),r=Math.max(r,s+l.height);let o=this.width*this.height>nw*a*r;return(a>this.width||r>this.height||o)&&([this.width,this.height]=o?[a,r]:[Math.max(a,this.width),Math.max(r,this.height)],this.renderer.setSize(this.width,this.height,!1)),t}aim(e,t,n,s){let r=7*Math.max(e.height,e.reach),a=1.15*Math.max(e.reach,.45*e.height),o=Math.cos(n.pitch)*e.height/2,l=Math.max(o,Math.sin(n.pitch)*a-o),c=o+Math.max(Math.sin(n.pitch),0)*a,u=Math.max((l+c)/.86,2*e.reach/.94/s),d=Math.min(a,.47*u*s),h=new Z(t.centre[0],e.floor+e.height/2,t.centre[1]),f=new Z(-Math.sin(n.yaw)*Math.cos(n.pitch),Math.sin(n.pitch),Math.cos(n.yaw)*Math.cos(n.pitch)),{camera:g}=this;g.up.copy(Gg),g.position.copy(h).addScaledVector(f,r),g.lookAt(h),g.fov=2*Math.atan(u/2/r)*180/Math.PI,g.near=r/10,g.far=r*3,g.setViewOffset(s,1,0,-(l-c)/2/u,s,1),g.updateProjectionMatrix();let b=new Z(.6,1.1,.4).applyQuaternion(g.quaternion);this.light.position.copy(h).addScaledVector(b,r),this.light.target.position.copy(h),this.light.target.updateMatrixWorld(),this.floor.position.set(t.centre[0],e.floor,t.centre[1]),this.floor.scale.setScalar(d);let m=En(),p=this.floor.material.uniforms;Hg(p.floorColour?.value,m.floor),Hg(p.lineColour?.value,m.grid),p.centre&&(p.centre.value=t.centre),p.radius&&(p.radius.value=d),p.spacing&&(p.spacing.value=d>4?2:.5),this.shadows.material.opacity=m.isDark?.42:.17}place(e,t,n){let{skeleton:s,joints:r}=e,a=En(),[o,l]=[0,0],c=new St().makeScale(1,0,1).setPosition(0,e.floor+.002,0),u=new st,d=(h,f,g)=>{l>=Ro||(this.balls.setMatrixAt(l,new St().makeScale(f,f,f).setPosition(h)),this.balls.setColorAt(l,u.set(g)),l+=1)};for(let h=0;h<e.bodies;h++){let f=x=>h?Pa(x,a.stage,.5):x,g={L:f(a.left),R:f(a.right),T:f(a.trunk)},b=[];for(let x=0;x<r;x++){let A=3*(h*r+x),S=t.places[A];b.push(Number.isNaN(S)?null:new Z(S,t.places[A+1],t.places[A+2]))}for(let[x,A]of s.middles){let[S,R]=[b[x],b[A]];b.push(S&&R?new Z().addVectors(S,R).multiplyScalar(.5):null)}let m=Vg*Math.min(1,Math.max(e.height/1.6,.4));s.bones.forEach(([x,A],S)=>{let[R,E]=[b[x],b[A]];if(!R||!E||o>=Ro)return;let v=new Z().subVectors(E,R),T=v.length();if(T<1e-4)return;let B=new Mi().setFromUnitVectors(Gg,v.divideScalar(T)),F=new Z().addVectors(R,E).multiplyScalar(.5),L=new St().compose(F,B,new Z(m,T,m)),z=n&&!h?n(x):g[s.sides[S]??"T"];this.bones.setMatrixAt(o,L),this.bones.setColorAt(o,u.set(z)),this.shadows.setMatrixAt(o,new St().multiplyMatrices(c,L)),o+=1,d(R,m,z),d(E,m,n&&!h?n(A):z)});let p=b[s.head];if(p&&d(p,iw*(m/Vg),n&&!h?n(s.head):g.T),!s.bones.length)for(let x of b)x&&d(x,m,g.T)}this.bones.count=this.shadows.count=o,this.balls.count=l;for(let h of[this.bones,this.balls,this.shadows])h.instanceMatrix.needsUpdate=!0,h.instanceColor&&(h.instanceColor.needsUpdate=!0)}};function aw(){let i=new OffscreenCanvas(1,1).getContext("webgl2");if(!i)throw new Error("This browser has no WebGL.");let e=i.getExtension("WEBGL_debug_renderer_info"),t=e?String(i.getParameter(e.UNMASKED_RENDERER_WEBGL)):"";return i.getExtension("WEBGL_lose_context")?.loseContext(),/swiftshader|llvmpipe|software/i.test(t)}function Hg(i,e){let t=Number.parseInt(e.slice(1),16);i.set((t>>16)/255,(t>>8&255)/255,(t&255)/255)}var Wg={yaw:.44,pitch:.16},ow=.5,lw=.02,rh;function Xg(){if(rh===void 0)try{rh=new sh}catch{rh=null}return rh}var Ld=class{constructor(e,t){this.player=e;this.options=t;this.clip=t.clip,this.canvas=C("canvas",{role:"img","aria-label":t.label}),this.turnByDragging(),this.watcher=new IntersectionObserver(n=>{this.isVisible=n.at(-1)?.isIntersecting??!1,e.ask()},{rootMargin:"80px"}),this.watcher.observe(this.canvas)}player;options;canvas;isVisible=!1;watcher;clip;pose=null;describe(e){this.canvas.setAttribute("aria-label",Ii(e))}close(){this.watcher.disconnect()}job(){let{canvas:e,clip:t}=this;if(!this.isVisible||!e.isConnected)return null;let n=Math.min(devicePixelRatio||1,2),[s,r]=[Math.round(e.clientWidth*n),Math.round(e.clientHeight*n)];if(!s||!r)return null;if((e.width!==s||e.height!==r)&&Object.assign(e,{width:s,height:r}),!t)return e.getContext("2d")?.clearRect(0,0,s,r),null;let a=Math.min(this.player.place,1),o=this.options.share?.(a)??this.player.shareOf(t);return{canvas:e,clip:t,pose:this.pose??t.poseAt(o),tint:this.options.tint?.(a)}}turnByDragging(){let e=null;bt(this.canvas,{pointerdown:t=>{this.canvas.setPointerCapture(t.pointerId),e=[t.clientX,t.clientY]},pointermove:t=>{!e||!this.canvas.hasPointerCapture(t.pointerId)||(this.player.turn(-.01*(t.clientX-e[0]),.01*(t.clientY-e[1])),e=[t.clientX,t.clientY])}})}},ei=class{playing=!matchMedia("(prefers-reduced-motion: reduce)").matches;place=this.playing?0:.5;speed=1;pace="step";view={...Wg};mainSeconds=null;onDraw=()=>{};stages=new Set;isDrawing=!1;lastTime=null;bar=null;constructor(){Is(()=>this.ask()),addEventListener("resize",()=>this.ask())}addStage(e){let t=new Ld(this,e);return this.stages.add(t),this.ask(),t}remove(e){e.close(),this.stages.delete(e)}clear(){for(let e of this.stages)e.close();this.stages.clear()}controls(e){return this.bar=new Nd(this,e),this.bar.element}length(){let e=[...this.stages].flatMap(({clip:n})=>n?[n.seconds]:[]).sort((n,s)=>n-s);if(this.pace==="step"&&this.mainSeconds)return Math.max(this.mainSeconds,.2);let t=this.pace==="step"?Math.floor((e.length-1)/2):e.length-1;return Math.max(e[t]??1,.2)}shareOf(e){let t=this.pace==="step"?this.place:this.place*this.length()/Math.max(e.seconds,.001);return Math.min(Math.max(t,0),1)}play(e){this.playing=e,e&&this.place>=1&&(this.place=0),this.ask()}moveTo(e){this.playing=!1,this.place=Math.min(Math.max(e,0),1),this.ask()}restart(){this.playing&&(this.place=0),this.ask()}turn(e,t){this.view.yaw+=e,this.view.pitch=Math.min(Math.max(this.view.pitch+t,-.1),1.5),this.ask()}face(){this.view={...Wg},this.ask()}key(e){let t={ArrowLeft:-1,ArrowRight:1}[e.key];if(e.key===" ")this.play(!this.playing);else if(t&&e.shiftKey)this.turn(.15*t,0);else if(t)this.moveTo(Math.min(this.place,1)+lw*t);else return!1;return!0}ask(){this.isDrawing||(this.isDrawing=!0,requestAnimationFrame(e=>this.frame(e)))}frame(e){this.isDrawing=!1,this.playing&&this.lastTime!==null&&(this.place+=this.speed*Math.min(e-this.lastTime,100)/1e3/this.length(),this.place>1+this.speed*ow/this.length()&&(this.place=0));let t=this.playing&&[...this.stages].some(s=>s.canvas.isConnected);this.lastTime=t?e:null;let n=[...this.stages].map(s=>s.job()).filter(s=>s!==null);n.length&&Xg()?.paint(n,this.view),this.bar?.show(),this.onDraw(),t&&this.ask()}},Nd=class{constructor(e,t){this.player=e;this.playing=lt("Play",()=>e.play(!e.playing),"primary play"),this.slider=bt(C("input",{type:"range",min:0,max:1e3,step:1,value:0,"aria-label":"Place in the motion"}),{input:()=>e.moveTo(Number(this.slider.value)/1e3),keydown:l=>{e.key(l)&&l.preventDefault()}});let s=ls("Speed",[["0.25","speed \xBC"],["0.5","speed \xBD"],["1","speed 1"],["2","speed 2"]],"1",l=>{e.speed=Number(l)}),r=ls("How clips of different length play together",[["step","in step"],["clock","by the clock"]],e.pace,l=>{e.pace=l,e.ask()}),a=lt("Front view",()=>e.face()),o=C("p",{class:"keys"},"Space: play or pause \xB7 \u2190 \u2192: move in time \xB7 drag, Shift \u2190 \u2192: turn");this.element=C("section",{class:"bar","aria-label":"Playback"},this.playing,this.slider,this.time,s,t&&r,a,o)}player;element;playing;slider;time=C("span",{class:"time"});show(){let{player:e}=this,t=Math.min(e.place,1);this.playing.textContent=e.playing?"Pause":"Play",(document.activeElement!==this.slider||e.playing)&&(this.slider.value=String(Math.round(1e3*t)));let n=e.length(),s=e.pace==="step"?ll(t):`${(t*n).toFixed(1)} of ${$n(n)}`;this.time.textContent!==s&&(this.time.textContent=s,this.slider.setAttribute("aria-valuetext",s))}};function yn(i,e,t=""){let n=i&&!Xg()?null:i;return C("div",{class:"stage"},n?n.canvas:C("p",{class:"missing"},i&&!n?"This browser has no WebGL, which the drawing of skeletons needs.":e),t&&C("span",{class:"badge"},t))}var _a=class{constructor(e,t){this.app=e;this.take=t}app;take;element=C("div",{class:"reading","aria-live":"polite"});asking=new AbortController;chooser(e,t=""){let n=C("input",{type:"file",hidden:!0});bt(n,{change:()=>{let r=n.files?.[0];n.value="",r&&this.read(r)}});let s=lt(e,()=>n.click(),t);return C("span",{class:"chooser"},s,n)}clear(){return this.asking.abort(),this.asking=new AbortController,this.element.replaceChildren(),this.asking.signal}fail(e,t=[]){ol(e)||this.element.replaceChildren(_t("error",Wt(e)),...t.map(n=>_t("note",n)),this.chooser("Choose another file"))}async read(e){let t=this.clear(),n=Number(this.app.info?.limits.max_message_bytes??0),s=e.type.startsWith("video/");this.element.replaceChildren(C("div",{class:"card busy"},C("p",{},s?`Finding the person in ${e.name} \u2026`:`Reading ${e.name} \u2026`),C("progress",{})));try{if(n&&e.size*1.34>n)throw new Error(`${e.name} has ${qg(e.size)} MB, and this server takes ${qg(n/1.34)} MB here. Use a part of it, start gfp-serve with a larger --max-message-bytes, or add the file with gfp add.`);let a={content:Lh(new Uint8Array(await e.arrayBuffer())),name:e.name},o=await Bt("ViewService/ReadFile",a,t),{recordings:l,num_left_out:c}=o,u=[...o.remarks];if(!l.length){let d=c?`No recording of ${e.name} fits into a message: ${c} left out.`:`There is no recording in ${e.name} that can be used.`;this.fail(new Error(d),u);return}c&&u.push(`${c} more ${c===1?"recording":"recordings"} of this file did not fit into a message.`),this.element.replaceChildren(),this.take(e,l,u)}catch(r){this.fail(r)}}},qg=i=>(i/1e6).toFixed(1);var cw=40,Po=class{constructor(e,t,n,s,r){this.app=e;this.player=t;this.title=n;this.hint=s;this.changed=r;this.reading=new _a(e,(a,o,l)=>this.takeRecordings(a.name,o,l)),this.search=bt(C("input",{type:"search",placeholder:"Find an item by id or label","aria-label":`${n}: find an item by id or label`,autocomplete:"off"}),{input:cs(200,()=>this.find()),keydown:a=>this.press(a)}),bt(this.list,{keydown:a=>this.press(a)}),this.element=C("section",{class:"card slot","aria-label":n},C("header",{},C("h2",{},n),C("p",{class:"small"},s)),this.box,this.words,C("div",{class:"choosing"},this.search,this.reading.chooser("Choose a file")),this.list,this.reading.element),this.show(null,"Nothing is chosen yet.")}app;player;title;hint;changed;element;reading;shown=null;name="";gallery="";soughtIn="";box=C("div",{class:"slot-box"});words=C("div",{class:"words"});search;list=C("ul",{class:"items",hidden:!0});stage=null;async takeItem(e){let{gallery:t}=this.app,n=this.reading.clear();if(this.shown?.id===e&&this.gallery===t)return;this.endSearch();let s=()=>n.aborted||this.app.gallery!==t;try{let r=await this.app.item(e),a=vi(r);if(s())return;this.shown=a?{id:e}:null,this.gallery=t,this.name=r.label||e,this.show(a,ai),this.words.replaceChildren(C("h3",{class:"name"},r.label||"no label"),C("p",{class:"small"},a?.knowsTime?`${e} \xB7 ${$n(a.seconds)}`:e)),this.changed()}catch(r){s()||this.reading.fail(r)}}dropOthers(){return this.soughtIn!==this.app.gallery&&this.endSearch(),!this.shown?.id||this.gallery===this.app.gallery?!1:(this.shown=null,this.name="",this.words.replaceChildren(),this.show(null,"Nothing is chosen yet."),!0)}takeSequence(e,t){this.reading.clear(),this.takeRecordings(e,[{name:e,label:"",sequence:t}])}takeRecordings(e,t,n=[]){let s=a=>{let o=t[a];if(!o)return;this.shown={sequence:o.sequence},this.name=e;let l=Yn.ofSequence(o.sequence);this.show(l.isSeen?l:null,"Nobody is seen in this recording."),this.changed()},r=t.map(({name:a,label:o},l)=>[String(l),o?`${a} \xB7 ${o}`:a]);this.words.replaceChildren(C("h3",{class:"name"},e),r.length>1?ls("Recording of this file",r,"0",a=>s(Number(a))):"",...n.map(a=>_t("note",a))),s(0)}show(e,t){this.stage&&this.player.remove(this.stage),this.stage=e&&this.player.addStage({clip:e,label:`Moving skeleton: ${this.title}`}),this.box.replaceChildren(yn(this.stage,t)),this.player.ask()}async press(e){let t={ArrowUp:-1,ArrowDown:1}[e.key],n=e.key==="Enter"&&e.target===this.search;if(!t&&!n||(e.preventDefault(),e.target===this.search&&!await this.find()))return;let s=[...this.list.querySelectorAll("button")];if(n){s.length===1&&s[0]?.click();return}let r=s.indexOf(document.activeElement)+(t??0);r<0?this.search.focus():s[Math.min(r,s.length-1)]?.focus()}endSearch(){this.search.value="",this.find()}async find(){let{gallery:e}=this.app;this.soughtIn=e;let t=this.search.value.trim().toLowerCase();if(this.list.hidden=!t,!t)return In(this.list,[],this.search),!1;let n=()=>t===this.search.value.trim().toLowerCase()&&e===this.app.gallery;try{let{items:s}=await this.app.mapItems();if(!n())return!1;let r=s.filter(({id:o,label:l})=>o.toLowerCase().includes(t)||l.toLowerCase().includes(t)),a=C("li",{class:"more"},"No item of this map has this in its id or label.");return In(this.list,r.length?r.slice(0,cw).map(o=>this.hit(o)):[a],this.search),!0}catch(s){return n()&&In(this.list,[C("li",{class:"more"},Wt(s))],this.search),!1}}hit({id:e,label:t}){let s=lt("",()=>{document.activeElement===s&&this.search.focus(),this.takeItem(e)},"",{"data-key":e});return s.append(C("span",{class:"name"},t||"no label"),C("span",{class:"id"},e)),C("li",{},s)}};var Fd=25,ah=class{constructor(e){this.app=e;this.motion=new Po(e,this.choosing,"Your motion","What was done.",()=>this.compare()),this.wanted=new Po(e,this.choosing,"Wanted motion","What it should look like.",()=>this.compare()),this.player.onDraw=()=>this.curve.at(Math.min(this.player.place,1)*(this.times.at(-1)??0)),this.picks=C("div",{class:"slots"},this.motion.element,this.wanted.element),this.element=C("section",{class:"compare view"},C("header",{},C("h1",{},"Compare"),C("p",{class:"small"},"Two motions, aligned in time and compared joint by joint. Numbers show differences of recordings. This is not medical advice.")),this.problem,this.result,this.picks)}app;element;choosing=new ei;player=new ei;motion;wanted;problem=C("div",{class:"problems"});result=C("section",{class:"result",hidden:!0,"aria-label":"Comparison"});picks;curve=new cl("seconds of the playback","cm",e=>this.player.moveTo(e/(this.times.at(-1)||1)));reply=null;times=[];asking=new AbortController;open(e){[this.motion.dropOthers(),this.wanted.dropOthers()].includes(!0)&&this.compare();let{handed:n}=this.app;n&&(this.app.handed=null,this.motion.takeSequence(n.name,n.sequence));let[s,r]=[e.get("motion"),e.get("wanted")];s&&this.motion.takeItem(s),r&&this.wanted.takeItem(r),this.player.ask(),this.choosing.ask()}close(){}key(e){return(this.result.hidden?this.choosing:this.player).key(e)}take(e,t){let s=[this.motion,this.wanted].find(r=>t instanceof Node&&r.element.contains(t))??(this.result.hidden&&this.motion.shown?this.wanted:this.motion);this.result.hidden=!0,s.reading.read(e)}async compare(){let[e,t]=[this.motion.shown,this.wanted.shown];if(this.result.hidden=!0,this.problem.replaceChildren(),this.asking.abort(),!e||!t)return;let n=new AbortController;this.asking=n,this.problem.replaceChildren(_t("note","Comparing \u2026"));try{let s={motion:e,wanted:t,gallery:this.app.gallery};this.reply=await Bt("ViewService/Compare",s,n.signal),this.problem.replaceChildren(),this.show(this.reply)}catch(s){ol(s)||this.problem.replaceChildren(_t("error",Wt(s)))}}show(e){let{player:t}=this;t.clear();let[n,s]=[Yn.ofMotion(e.motion,!1),Yn.ofMotion(e.wanted,!1)],r=e.motion_frames.length,a=e.motion.fps||30;this.times=e.motion_frames.map((b,m)=>m*(n.seconds||r/a)/Math.max(r-1,1)),t.mainSeconds=n.seconds;let o=b=>Math.min(Math.round(b*(r-1)),r-1),l=(b,m)=>p=>{let x=p*(r-1),A=Math.floor(x),[S,R]=[b[A]??0,b[Math.min(A+1,r-1)]??0];return m.shareOf(S+(x-A)*(R-S))},c=new Map(e.joints.map(b=>[b.joint,b.cm.map(Number)])),u=[t.addStage({clip:n,label:"Moving skeleton: your motion, joints coloured by difference",share:l(e.motion_frames,n),tint:b=>m=>{let p=c.get(m)?.[o(b)]??0;return Wo((Number.isNaN(p)?0:p)/Fd)}}),t.addStage({clip:s,label:"Moving skeleton: the wanted motion",share:l(e.wanted_frames,s)})],d=this.meanCurve(e,r),h=e.worst_moments.map(({step:b})=>this.times[b]??0);this.curve.show(this.times,d,h);let f=C("div",{class:"pair"},this.card(yn(u[0],"","Yours"),this.motion.name,hw()),this.card(yn(u[1],"","Wanted"),this.wanted.name,""),this.table(e.joints)),g=lt("Choose other motions",()=>{this.picks.scrollIntoView({block:"start"})});this.result.replaceChildren(this.summary(e),f,C("section",{class:"card curve-card"},C("h3",{},"Mean difference over time"),this.curve.element,C("h3",{},"Moments that differ most"),this.moments(e,f)),g,C("div",{class:"bottom-bar"},t.controls(!1))),this.result.hidden=!1,this.choosing.playing=!1,t.restart()}summary(e){let t=e.joints[0],n=[["mean difference",`${e.mean_cm.toFixed(1)} cm`]];if(t&&n.push(["most in",`${Dd(t.name)}, ${t.mean_cm.toFixed(1)} cm`]),e.tempo){let s=Math.round(100*Math.abs(e.tempo-1));n.push(["tempo",s<3?"the same":`${s} % ${e.tempo>1?"slower":"faster"}`])}return C("dl",{class:"summary"},...n.map(([s,r])=>C("div",{},C("dt",{},s),C("dd",{},r))))}card(e,t,n){return C("article",{class:"card"},e,C("div",{class:"words"},C("h2",{},t),n))}table(e){let t=(r,a,o=!1)=>{if(r===void 0)return"";let l=r.toFixed(a).replace(/^-(?=0*\.?0*$)/,"");return o&&Number(l)>0?`+${l}`:l.replace("-","\u2212")},n=e.map(r=>{let a=C("tr",{},C("th",{scope:"row"},Dd(r.name)),C("td",{},t(r.mean_cm,1)),C("td",{},t(r.most_cm,1)),C("td",{},t(r.mean_degrees,0,!0)),C("td",{},t(r.most_degrees,0,!0)));return a.style.setProperty("--own",Wo(r.mean_cm/Fd)),a}),s=r=>C("th",{scope:"col"},r);return C("div",{class:"card joints",tabindex:0,role:"region","aria-label":"Differences by joint"},C("p",{class:"small signs"},"cm: how far the joint is from where it is wanted. \xB0: how its angle differs; + should be straighter, \u2212 should be more bent."),C("table",{},C("thead",{},C("tr",{},s("joint"),s("mean cm"),s("most cm"),s("mean \xB0"),s("most \xB0"))),C("tbody",{},...n)))}moments(e,t){let n=Math.max(e.motion_frames.length-1,1);return C("div",{class:"actions"},...e.worst_moments.map(({step:s,joint:r,joint_cm:a})=>lt(`${(this.times[s]??0).toFixed(1)} s \xB7 ${Dd(r)} ${a.toFixed(0)} cm`,()=>{this.player.moveTo(s/n),t.querySelector(".stage")?.scrollIntoView({block:"nearest"})})))}meanCurve(e,t){let n=e.joints.map(s=>s.cm.map(Number));return Array.from({length:t},(s,r)=>{let a=n.map(o=>o[r]??Number.NaN).filter(o=>!Number.isNaN(o));return a.reduce((o,l)=>o+l,0)/Math.max(a.length,1)})}};function hw(){let i=C("span",{class:"scale"});return i.style.background=`linear-gradient(90deg, ${[0,.5,1].map(Wo).join(", ")})`,C("div",{class:"key"},i,C("span",{class:"ends small"},C("span",{},"as wanted"),C("span",{},`${Fd} cm and more`)))}function Dd(i){return i.replace(/(?<=[a-z])(?=[A-Z])/g," ").toLowerCase()}var va="(none)",uw=12;function Yg(i,e,t,n){let s=({attributes:h})=>h&&Object.hasOwn(h,t)?h[t]:void 0,r=h=>t?s(h):h.label||void 0,a=[...e,...i],o=a.map(r).filter(h=>typeof h=="number");if(o.length&&new Set(o).size>uw){let[h,f]=o.reduce(([g,b],m)=>[Math.min(g,m),Math.max(b,m)],[Number.POSITIVE_INFINITY,Number.NEGATIVE_INFINITY]);return{groups:[],range:{least:h,most:f},of:g=>{let b=r(g);return typeof b!="number"?{group:"",colour:n}:{group:"",colour:Ho((b-h)/(f-h||1))}}}}let l=h=>{let f=r(h);return f===void 0?va:Array.isArray(f)?f.join(", "):String(f)},c=new Map;for(let h of i)c.set(l(h),(c.get(l(h))??0)+1);let u=[...new Set(a.map(l))].filter(h=>h!==va);u.sort((h,f)=>h.localeCompare(f,void 0,{numeric:!0}));let d=new Map(u.map((h,f)=>[h,Cr(f,u.length)]));return c.has(va)&&d.set(va,n),{groups:[...d].flatMap(([h,f])=>{let g=c.get(h);return g?[{name:h,colour:f,count:g}]:[]}),range:null,of:h=>{let f=l(h);return{group:f,colour:d.get(f)??n}}}}var Ud=60,oh=class{constructor(e){this.pick=e;this.search=bt(C("input",{type:"search",placeholder:"Find an item by id or label","aria-label":"Find an item by id or label"}),{input:()=>this.fill()}),this.element=C("div",{class:"part",hidden:!0},this.search,this.list)}pick;element;list=C("ul",{class:"items"});search;items=[];areChosen=!1;current="";show(e,t,n){[this.items,this.areChosen,this.current]=[e,t,n],this.fill()}focus(e){return(this.list.querySelector(`[data-key="${CSS.escape(e)}"]`)??this.search).focus(),this.search.offsetParent!==null}fill(){let e=this.search.value.trim().toLowerCase(),t=this.items.filter(({item:{id:s,label:r}})=>s.toLowerCase().includes(e)||r.toLowerCase().includes(e)),n=t.slice(0,Ud).map(s=>this.entry(s));if(t.length>Ud&&n.push(C("li",{class:"more"},`and ${t.length-Ud} more; type to find one`)),!t.length){let s=this.areChosen?"No item of this map with the chosen colours":"No item of this map",r=e?`${s} has this in its id or label.`:"There are no items on this map.";n.push(C("li",{class:"more"},r))}In(this.list,n,this.search)}entry({item:{id:e,label:t},colour:n}){let s=lt("",()=>this.pick(e),"",{"data-key":e,"aria-current":e===this.current?"true":null});return s.append(C("span",{class:"swatch"}),C("span",{class:"name"},t||"no label"),C("span",{class:"id"},e)),s.style.setProperty("--own",n),C("li",{},s)}};function Io(i,e,t,n){return new Promise(s=>{let r=n&&C("input",{type:n.secret?"password":"text",autocomplete:"off",value:n.value,maxlength:n.secret?4096:256,"aria-label":n.label}),a=C("dialog",{class:"card","aria-label":i},C("form",{method:"dialog"},C("h2",{},i),C("p",{},e),r,C("div",{class:"actions"},C("button",{value:"no",type:"button"},"Cancel"),C("button",{value:"yes",class:"primary"},t)))),o=l=>{a.close(),a.remove(),s(l)};a.querySelector("button")?.addEventListener("click",()=>o(null)),bt(a,{cancel:()=>o(null),submit:l=>{l.preventDefault(),o(r?r.value.trim():"yes")}}),document.body.append(a),a.showModal(),r?.select()})}function $g(i,e,t){return lt("Change label",async()=>{let s=await Io("Change label",e.id,"Save",{label:"Label",value:e.label});if(s!==null)try{let r={ids:[e.id],with_embeddings:!0,with_motions:!0,gallery:i.gallery},a=(await Bt("GalleryService/Get",r)).items[0];await Bt("GalleryService/Upsert",{items:[{...a,label:s}],gallery:i.gallery}),t.done(e.id)}catch(r){t.failed(r)}},"",{"data-key":"relabel"})}function Zg(i,e,t){return lt("Delete",async()=>{let n=`${e.id} is removed from the gallery ${i.gallery} for ever.`;if(await Io("Delete this item?",n,"Delete")!==null)try{await Bt("GalleryService/Delete",{ids:[e.id],gallery:i.gallery}),t.done("")}catch(s){t.failed(s)}},"danger")}async function dw(i,e){try{return await Bt("GalleryService/Get",{ids:[e],gallery:i.gallery}),!0}catch(t){if(t instanceof _i&&t.code==="not_found")return!1;throw t}}function Jg(i,e,t,n){let s=C("input",{type:"text",value:e.id,maxlength:256,required:!0,pattern:".*\\S.*"}),r=C("input",{type:"text",value:e.label,maxlength:256}),a=C("div",{}),o=()=>a.replaceChildren();bt(s,{input:o,invalid:o}),bt(r,{input:o});let l=C("form",{class:"adding"},C("label",{class:"field"},C("span",{},"Id"),s),C("label",{class:"field"},C("span",{},"Label"),r),C("button",{class:"primary"},"Add to the gallery"));return bt(l,{submit:async c=>{c.preventDefault(),o();let u=[{id:s.value.trim(),label:r.value.trim(),sequence:t()}];try{if(await dw(i,u[0]?.id??"")){let h=`${u[0]?.id} is in the gallery ${i.gallery}. Its motion, label and attributes are lost.`;if(await Io("An item with this id exists. Replace it?",h,"Replace")===null)return}let{warnings:d}=await Bt("GalleryService/Upsert",{items:u,gallery:i.gallery});i.forget(),a.replaceChildren(_t("note",`${u[0]?.id} is in the gallery ${i.gallery} now.`),...d.map(({text:h})=>_t("warning",h))),n()}catch(d){a.replaceChildren(_t("error",Wt(d)))}}}),C("details",{class:"card adding-card"},C("summary",{},"Add this to the gallery"),l,a)}var lh=class{constructor(e,t){this.app=e;this.handlers=t}app;handlers;element=C("section",{class:"item card","aria-label":"Item",tabindex:-1,hidden:!0});id="";shownFor="";player=new ei;async show(e){let t=`${this.app.gallery}
${e}
${this.app.numChanges}`;if(t===this.shownFor){this.player.ask();return}if([this.id,this.shownFor]=[e,t],this.element.hidden=!e,!e){this.player.clear(),this.element.replaceChildren();return}try{let n=await this.app.item(e);this.shownFor===t&&this.fill(n)}catch(n){this.shownFor===t&&this.renew([this.head(e,""),_t("error",Wt(n))])}}pause(){this.player.playing=!1}key(e){return!!this.id&&this.player.key(e)}renew(e){In(this.element,e,this.element)}head(e,t){let n=lt("\u2715",this.handlers.close,"quiet",{"aria-label":"Close this item"});return C("header",{},C("div",{},C("h2",{},e),t&&C("p",{class:"id"},t)),n)}fill(e){let{app:t}=this;this.player.clear();let n=vi(e),s=n&&this.player.addStage({clip:n,label:`Moving skeleton: ${e.label||e.id}`});this.player.playing=!matchMedia("(prefers-reduced-motion: reduce)").matches,this.player.place=this.player.playing?0:.5;let r=Object.entries(e.attributes??{}).map(([c,u])=>[c,String(u)]);if(n?.knowsTime&&r.unshift(["length",$n(n.seconds)]),e.source?.recording){let{recording:c,start_s:u,end_s:d}=e.source,h=d?`, ${u.toFixed(1)} to ${d.toFixed(1)} s`:"";r.push(["recording",c+h])}let a=C("div",{class:"near"},C("h3",{},"Nearest items"),C("p",{class:"small"},"\u2026")),o=C("div",{class:"problems"}),l={done:c=>{t.forget(),this.handlers.changed(),c?this.show(c):this.handlers.close()},failed:c=>o.replaceChildren(_t("error",Wt(c)))};this.renew([this.head(e.label||"no label",e.id),yn(s,ai),this.player.controls(!1),C("div",{class:"actions"},lt("Use as query",()=>t.go("query",{item:e.id}),"primary"),n&&lt("Compare",()=>t.go("compare",{wanted:e.id})),n?.knowsTime&&lt("Count live",()=>t.go("live",{count:e.id}))),a,r.length?C("dl",{},...r.flatMap(([c,u])=>[C("dt",{},c),C("dd",{},u)])):"",o,t.mayWrite?C("div",{class:"actions writing"},$g(t,e,l),Zg(t,e,l)):""]),this.player.ask(),this.fillNear(e.id,a)}async fillNear(e,t){let n={queries:[{id:e}],top_k:5,gallery:this.app.gallery};try{let{results:s}=await Bt("GalleryService/Search",n),r=s[0]?.neighbours??[],a=r.map(o=>{let l=lt("",()=>this.handlers.pick(o.id),"row");return l.append(C("span",{class:"name"},o.label||"no label"),C("span",{class:"id"},o.id),C("span",{class:"number"},o.similarity.toFixed(3))),C("li",{},l)});t.lastElementChild?.replaceWith(r.length?C("ul",{class:"items"},...a):C("p",{class:"small"},"There are no others."))}catch(s){t.lastElementChild?.replaceWith(_t("error",Wt(s)))}}};var ch=class{constructor(e){this.tell=e}tell;element=C("ul",{class:"legend","aria-label":"Colours",tabindex:-1});chosen=new Set;show({groups:e,range:t}){this.chosen=new Set([...this.chosen].filter(s=>e.some(r=>r.name===s)));let n=t?[this.scale(t)]:e.map(s=>this.entry(s));In(this.element,n,this.element)}scale({least:e,most:t}){let n=C("span",{class:"scale"}),s=[0,.25,.5,.75,1].map(Ho).join(", ");n.style.background=`linear-gradient(90deg, ${s})`;let r=[e,t].map(a=>C("span",{},String(a)));return C("li",{},n,C("span",{class:"ends"},...r))}entry({name:e,colour:t,count:n}){let r=bt(lt("",()=>{this.chosen.delete(e)||this.chosen.add(e),r.setAttribute("aria-pressed",String(this.chosen.has(e))),this.tell.choose()},"",{"data-key":e,"aria-pressed":String(this.chosen.has(e))}),{pointerenter:()=>this.chosen.size||this.tell.point(e),pointerleave:()=>this.chosen.size||this.tell.point(null)});return r.append(C("span",{class:"swatch"}),C("span",{class:"name"},e),C("span",{class:"count"},n.toLocaleString("en"))),r.style.setProperty("--own",t),C("li",{},r)}};function hh(i){return i===va?"":i}var fw=14,pw=4;function jg(i){let e=new Map;for(let n of i){if(!n.group)continue;let s=e.get(n.group);s?s.push(n):e.set(n.group,[n])}let t=n=>n.sort((s,r)=>s-r)[Math.floor(n.length/2)];return[...e].sort((n,s)=>s[1].length-n[1].length).map(([n,s])=>({name:n,x:t(s.map(r=>r.x)),y:t(s.map(r=>r.y)),colour:s[0]?.colour??"#888888",few:s.length>pw?[]:s.map(({x:r,y:a})=>[r,a]).sort((r,a)=>a[1]-r[1])}))}function Qg(i,e,t,n){let s=i.flatMap(({few:a})=>a.map(([o,l])=>{let[c,u]=e(o,l);return[c-6,u-6,c+6,u+6]})),r=[];for(let{name:a,x:o,y:l,colour:c,few:u}of i){if(r.length>=fw)break;let d=3.6*Math.min(a.length,22)+8,[h,f]=[u[0],u.at(-1)],b=(h&&f?[Kg(e(...h),-19),Kg(e(...f),19)]:[e(o,l)]).find(([A,S])=>{let R=[A-d,S-11,A+d,S+11];return R[0]>=4&&R[2]<=t-4&&R[1]>=4&&R[3]<=n-4&&!s.some(v=>mw(R,v))});if(!b)continue;let[m,p]=b;s.push([m-d,p-11,m+d,p+11]);let x=C("span",{},a);x.style.transform=`translate(-50%, -50%) translate(${m.toFixed(1)}px, ${p.toFixed(1)}px)`,x.style.setProperty("--own",c),r.push(x)}return r}function Kg([i,e],t){return[i,e+t]}function mw(i,e){return i[0]<e[2]&&e[0]<i[2]&&i[1]<e[3]&&e[1]<i[3]}var gw=14,_w=`
attribute vec3 colour; attribute float weight; uniform float size; uniform float zoomed; varying vec3 shown; varying float seen;
void main() {
  shown = colour; seen = weight;
  gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.0);
  gl_PointSize = size * (weight > 1.5 ? 1.9 : weight > 0.5 ? 1.0 : 0.7) * zoomed;
}`,vw=`
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
}`,uh=class{constructor(e){this.handlers=e;this.element=C("div",{class:"map"},this.canvas,this.names),this.material=new jn({vertexShader:_w,fragmentShader:vw,transparent:!0,depthTest:!1,uniforms:{size:{value:9},zoomed:{value:1},ground:{value:new st},ring:{value:new st}}});try{this.renderer=new ma({canvas:this.canvas,antialias:!1,alpha:!0})}catch{this.element.append(C("p",{class:"missing"},"This browser has no WebGL, which the map needs. The list has the same items."))}new ResizeObserver(()=>this.ask()).observe(this.element),Is(()=>this.ask()),this.listen()}handlers;element;canvas=C("canvas",{"aria-hidden":"true"});names=C("div",{class:"names","aria-hidden":"true"});renderer=null;scene=new ar;camera=new lr;material;cloud=null;points=[];weights=new Float32Array;groups=[];selected="";only=new Set;middle=[0,0];span=1;whole=[0,0,1];isAsked=!1;show(e,t){this.points=e;let n=new Float32Array(e.length*3),s=new Float32Array(e.length*3),r=new st;e.forEach((o,l)=>{n.set([o.x,o.y,0],3*l),r.setStyle(o.colour,"srgb-linear").toArray(s,3*l)}),this.weights=new Float32Array(e.length);let a=new Jn;a.setAttribute("position",new Wn(n,3)),a.setAttribute("colour",new Wn(s,3)),a.setAttribute("weight",new Wn(this.weights,1)),this.cloud&&(this.scene.remove(this.cloud),this.cloud.geometry.dispose()),this.cloud=new no(a,this.material),this.cloud.frustumCulled=!1,this.scene.add(this.cloud),this.groups=jg(e),t&&e.length&&this.fit(),this.weigh()}select(e){this.selected=e,this.weigh()}highlight(e){this.only=e,this.weigh()}fit(){let e=this.points.map(h=>h.x).sort((h,f)=>h-f),t=this.points.map(h=>h.y).sort((h,f)=>h-f);if(!e.length)return;let n=h=>[h[0],h.at(-1)],[[s,r],[a,o]]=[n(e),n(t)];this.middle=[(s+r)/2,(a+o)/2];let{clientWidth:l,clientHeight:c}=this.element,u=Math.min(l,c)||1,d=Math.max((r-s)/(l||1)*u,(o-a)/(c||1)*u,1e-6);this.span=.56*d,this.whole=[...this.middle,this.span],this.ask()}zoom(e,t=this.element.clientWidth/2,n=this.element.clientHeight/2){let s=this.at(t,n);this.span=Math.min(Math.max(this.span/e,this.whole[2]/200),this.whole[2]*1.5);let r=this.at(t,n);this.middle=[this.middle[0]+s[0]-r[0],this.middle[1]+s[1]-r[1]],this.ask()}placeOf(e){let t=this.points.find(n=>n.id===e);return t?this.pixel(t.x,t.y):null}weigh(){this.points.forEach((t,n)=>{let s=!this.only.size||this.only.has(t.group);this.weights[n]=t.id===this.selected?2:s?1:0});let e=this.cloud?.geometry.getAttribute("weight");e&&(e.needsUpdate=!0),this.ask()}get perPixel(){return 2*this.span/(Math.min(this.element.clientWidth,this.element.clientHeight)||1)}at(e,t){let{clientWidth:n,clientHeight:s}=this.element;return[this.middle[0]+(e-n/2)*this.perPixel,this.middle[1]-(t-s/2)*this.perPixel]}pixel(e,t){let{clientWidth:n,clientHeight:s}=this.element;return[n/2+(e-this.middle[0])/this.perPixel,s/2-(t-this.middle[1])/this.perPixel]}nearest(e,t){let[n,s]=this.at(e,t),[r,a]=[null,(gw*this.perPixel)**2];return this.points.forEach((o,l)=>{let c=(o.x-n)**2+(o.y-s)**2;c<a&&this.weights[l]&&([r,a]=[o,c])}),r}listen(){let e=new Map,t=0,n=s=>{let r=this.element.getBoundingClientRect();return[s.clientX-r.left,s.clientY-r.top]};bt(this.element,{pointerdown:s=>{this.element.setPointerCapture(s.pointerId),e.set(s.pointerId,n(s)),t=0},pointermove:s=>{let r=n(s),a=e.get(s.pointerId);if(!a){s.pointerType!=="touch"&&this.handlers.hover(this.nearest(...r),...r);return}let l=[...e].filter(([c])=>c!==s.pointerId).map(([,c])=>c)[0];if(l){let c=Math.hypot(r[0]-l[0],r[1]-l[1]),u=Math.hypot(a[0]-l[0],a[1]-l[1]);this.zoom(c/Math.max(u,1),(r[0]+l[0])/2,(r[1]+l[1])/2)}this.middle[0]-=(r[0]-a[0])*this.perPixel,this.middle[1]+=(r[1]-a[1])*this.perPixel,t+=Math.hypot(r[0]-a[0],r[1]-a[1]),e.set(s.pointerId,r),t>4&&this.handlers.hover(null,0,0),this.ask()},pointerup:s=>{e.delete(s.pointerId);let r=t>4?null:this.nearest(...n(s));r&&this.handlers.pick(r)},pointercancel:s=>e.delete(s.pointerId),pointerleave:()=>this.handlers.hover(null,0,0)}),this.element.addEventListener("wheel",s=>{s.preventDefault(),this.handlers.hover(null,0,0),this.zoom(Math.exp(-s.deltaY*(s.deltaMode?.05:.0016)),...n(s))},{passive:!1})}ask(){this.isAsked||(this.isAsked=!0,requestAnimationFrame(()=>{this.isAsked=!1,this.draw()}))}draw(){let{clientWidth:e,clientHeight:t}=this.element;if(!this.renderer||!e||!t)return;let n=Math.min(devicePixelRatio||1,2);this.renderer.setPixelRatio(n),this.renderer.setSize(e,t,!1);let[s,r]=[e/2*this.perPixel,t/2*this.perPixel],{camera:a,material:o}=this;Object.assign(a,{left:-s,right:s,top:r,bottom:-r,near:-1,far:1}),a.position.set(this.middle[0],this.middle[1],0),a.updateProjectionMatrix();let l=En();o.uniforms.ground?.value.setStyle(l.stage,"srgb-linear"),o.uniforms.ring?.value.setStyle(l.text,"srgb-linear");let c=Math.min(Math.max(Math.sqrt(1500/Math.max(this.points.length,1)),.55),1.25),u=Math.min(Math.sqrt(this.whole[2]/this.span),2.2);o.uniforms.zoomed&&(o.uniforms.zoomed.value=n*c*Math.max(u,.8)),this.renderer.render(this.scene,a);let d=this.groups.filter(({name:h})=>!this.only.size||this.only.has(h));this.names.replaceChildren(...Qg(d,(h,f)=>this.pixel(h,f),e,t))}};var dh=class{constructor(e){this.app=e;this.stage=this.player.addStage({label:""}),this.box=yn(this.stage,""),this.element.append(this.box,this.words),this.player.playing=!0}app;element=C("div",{class:"hover",hidden:!0,"aria-hidden":"true"});player=new ei;stage;box;words=C("p",{});id="";async show(e,t,n){if(this.element.hidden=e===null,!e){this.id="";return}let s=this.element.parentElement,r=t>s.clientWidth-200,a=n>s.clientHeight-230;if(this.element.style.transform=`translate(${t+(r?-176:16)}px, ${n+(a?-216:16)}px)`,e.id===this.id)return;this.id=e.id,this.stage.clip=void 0,this.words.replaceChildren(C("strong",{},e.group||"no label"),e.id),this.player.ask();let o=await this.app.item(e.id).catch(()=>null);if(this.id!==e.id||!o)return;let l=vi(o);this.words.replaceChildren(C("strong",{},o.label||"no label"),o.id,l?"":ai),this.box.hidden=!l,this.stage.clip=l??void 0,this.player.place=0,this.player.ask()}};function e0(i,e,t){let n=i.info?.reads_videos??!1,s="Motion capture (BVH, C3D, TRC), depth sensors, pose estimators, clip files.",r=n?`Videos of one person. ${s}`:`${s} This server reads no videos: install gfp-serve with the extra video.`,a=n?"video or a recording":"recording";return C("div",{class:"welcome card"},C("h1",{},"Which movement is this?"),C("p",{},`Drop a ${a} anywhere on this page. You then see the five nearest movements of the gallery beside it.`),C("div",{class:"actions"},e,lt("Take any item of this gallery",t)),C("p",{class:"small"},r))}var Lo="No item meets the condition.";function t0(i){let e=i.scores.slice(0,4).map(({label:n,score:s})=>{let r=C("li",{},C("span",{class:"name"},n),C("span",{class:"number"},ll(s)));return r.style.setProperty("--share",`${100*s}%`),r}),t=C("p",{class:"small"},"None of the nearest items has a label.");return[C("p",{class:"class"},i.unknown?"unknown":i.label),e.length?C("ul",{class:"votes","aria-label":"Votes of the nearest items"},...e):t]}var Od=i=>`similarity ${i.toFixed(3)}`;function n0(i,e,{rank:t,stage:n,clip:s,compare:r}){let{id:a,label:o,similarity:l}=e,c=yn(n,ai,String(t));return s?.knowsTime&&c.append(C("span",{class:"length"},$n(s.seconds))),C("article",{class:"card"},c,C("div",{class:"words"},C("h2",{},o||"no label"),C("p",{class:"number"},Od(l)),C("p",{class:"small"},C("a",{href:i.address("gallery",{item:a}),"data-key":a},a)),s&&lt("Compare",r,"quiet small-button",{"aria-label":`Compare with ${a}`,"data-key":`compare ${a}`})))}var Bd="e.g. label=walk,run   subject=3",xw=/(?:"(?:\\.|[^"\\])*"|\\.|[^\s"\\]|["\\])+/g,yw=/^"((?:\\.|[^"\\])*)"$/,i0=/^(?:!=|[<>=])/,s0=/^(?:\\.|[^"\\=<>])*[=<>]/;function kd(i){let e=[],t=!1,n=i.match(xw)??[];return n.forEach((s,r)=>{let a=e.at(-1),o=a!==void 0&&!t&&/(?:[=<>!]|,)$/.test(a),l=o?void 0:yw.exec(s)?.[1];if(l!==void 0&&s0.test(l)){e.push(l.replace(/\\"/g,'"')),t=!0;return}let c=i0.test(n[r+1]??""),u=!i0.test(s)&&(c||s0.test(s));a===void 0||t||u&&!o?e.push(s):e[e.length-1]=`${a} ${s}`,t=!1}),e}function zd(i){let e=C("span",{class:"number"},"any"),t=C("input",{type:"range",min:0,max:100,step:1,value:0,"aria-valuetext":"any"});return bt(t,{input:()=>{let n=Number(t.value)/100;e.textContent=n?`${n.toFixed(2)} or more`:"any",t.setAttribute("aria-valuetext",e.textContent),i(n||null)}}),C("label",{class:"field"},C("span",{},"Similarity that a class needs: ",e),t)}var fh=class{element;unknownBelow=null;windowSeconds=2;where;windows;problem=C("div",{class:"problems"});constructor(e){let t=cs(200,e);this.where=bt(C("input",{type:"text",placeholder:Bd,autocomplete:"off",spellcheck:"false"}),{input:cs(400,e)});let n=["1","2","3","4","6"].map(r=>[r,`${r} s`]),s=ls("Length of the windows of long recordings",n,"2",r=>{this.windowSeconds=Number(r),e()});this.windows=C("div",{},C("label",{class:"field"},C("span",{},"Windows of long recordings"),s),C("p",{class:"small"},"Best about as long as the movement that you look for.")),this.element=C("section",{class:"card settings","aria-label":"Settings of the search"},zd(r=>{this.unknownBelow=r,t()}),C("div",{},C("label",{class:"field"},C("span",{},"Search only in items with"),this.where),this.problem),this.windows)}showWindows(e){this.windows.hidden=!e}get filter(){let e=kd(this.where.value);return e.length?{where:e}:null}failFilter(e){this.where.setAttribute("aria-invalid",String(e!=="")),this.problem.replaceChildren(e&&_t("error",e))}};var bw=4e3,ph=class{constructor(e){this.app=e;this.hover=new dh(e),this.map=new uh({hover:(a,o,l)=>this.hover.show(a?.id===this.panel.id?null:a,o,l),pick:a=>{this.hover.show(null,0,0),this.pick(a.id,"")}}),this.map.element.append(this.hover.element,C("div",{class:"zoom"},lt("+",()=>this.map.zoom(1.6),"",{"aria-label":"Zoom in"}),lt("\u2212",()=>this.map.zoom(1/1.6),"",{"aria-label":"Zoom out"}),lt("Whole",()=>this.map.fit(),"",{"aria-label":"Show the whole map"})));let t=this.map.element.querySelector(".zoom");for(let a of["pointerdown","pointerup"])bt(t,{[a]:o=>o.stopPropagation()});let n=cs(400,()=>this.refilter());this.where=bt(C("input",{type:"text",placeholder:Bd,autocomplete:"off",spellcheck:"false"}),{input:n}),bt(this.colourBy,{change:()=>this.recolour()}),this.legend=new ch({choose:()=>{this.highlight(),this.fillList()},point:a=>this.map.highlight(new Set(a===null?[]:[hh(a)]))}),this.panel=new lh(e,{close:()=>e.go("gallery",this.asked("")),changed:()=>this.load(!1),pick:a=>this.pick(a)});let s=C("div",{class:"part"},r0("Colour by",this.colourBy),this.colourNote,this.legend.element);this.side=C("aside",{class:"side card","aria-label":"Items"},r0("Show only",this.where),this.problem,this.status,Sw([["Colours",s],["List",this.list.element]]),s,this.list.element);let r=C("div",{class:"map-card card"},this.map.element,this.empty);this.element=C("section",{class:"gallery view"},C("h1",{class:"hidden"},"Gallery"),r,C("div",{class:"beside"},this.panel.element,this.side)),Is(()=>this.recolour())}app;element;map;hover;panel;status=C("p",{class:"status",role:"status"});problem=C("div",{class:"problems"});where;colourBy=C("select",{"aria-label":"Colour by"});colourNote=C("p",{class:"small",hidden:!0});legend;list=new oh(e=>this.pick(e,e));side;empty=C("div",{class:"empty",hidden:!0});items=[];whole={of:"",items:[]};attributes=[];colours={groups:[],range:null,of:()=>({group:"",colour:"#888888"})};shownFor=null;asking=null;again=0;isImproving=!1;opener="";open(e){let t=e.get("where")??"";if(document.activeElement!==this.where&&(this.where.value=t),this.shownKey!==this.shownFor){let a=this.shownFor?.split(`
`)[0]!==this.app.gallery;a&&this.legend.chosen.clear(),this.load(a)}else this.isImproving&&!this.again&&this.load(!1);let n=e.get("item")??"",s=n!==this.panel.id,r=this.panel.element.contains(document.activeElement);this.map.select(n),this.panel.show(n),this.element.classList.toggle("has-item",n!==""),s&&this.moveFocus(n,r)}moveFocus(e,t){if(e){this.opener&&this.panel.element.focus();return}(this.opener||t)&&!this.list.focus(this.opener)&&this.where.focus(),this.opener=""}close(){this.hover.show(null,0,0),this.panel.pause(),this.stopWaiting()}key(e){return e.key==="Escape"&&this.panel.id?(this.app.go("gallery",this.asked("")),!0):this.panel.key(e)}asked(e){return{where:this.where.value.trim(),item:e}}pick(e,t=this.opener){this.opener=t,this.app.go("gallery",this.asked(e))}refilter(){let e=this.app.address("gallery",this.asked(this.panel.id));history.replaceState(null,"",e),this.open(new URLSearchParams(e.split("?")[1]??""))}get shownKey(){return`${this.app.gallery}
${this.where.value.trim()}
${this.app.numChanges}`}stopWaiting(){clearTimeout(this.again),this.again=0}async load(e){this.asking?.abort();let t=new AbortController;this.asking=t,this.shownFor=this.shownKey,this.stopWaiting();let n=kd(this.where.value),{gallery:s}=this.app,r=`${s}
${this.app.numChanges}`,a={gallery:s,...n.length?{filter:{where:n}}:{}};this.map.element.classList.add("waits");try{let o=await Bt("ViewService/MapItems",a,t.signal),l=o.items;if(n.length&&(l=this.whole.of===r?this.whole.items:await this.wholeOf(s)),t.signal.aborted)return;this.whole={of:r,items:l},this.empty.hidden=!n.length||o.items.length>0,this.empty.hidden||this.empty.replaceChildren(C("h2",{},Lo)),this.problem.replaceChildren(),this.where.removeAttribute("aria-invalid"),this.items=o.items,this.attributes=o.attributes_left_out?[]:o.attributes,this.showStatus(o,n.length>0),this.fillColourBy(o.attributes_left_out),this.recolour(e),this.isImproving=o.is_improving,o.is_improving&&this.element.isConnected&&(this.again=window.setTimeout(()=>this.load(!1),bw))}catch(o){if(t.signal.aborted)return;this.isImproving=!1,Ps(o,"filter")?(this.where.setAttribute("aria-invalid","true"),this.status.textContent="",this.empty.hidden=!0,this.problem.replaceChildren(_t("error",Wt(o)))):(this.shownFor=null,this.where.removeAttribute("aria-invalid"),this.problem.replaceChildren(),this.items=[],this.recolour(),this.status.textContent="",this.showEmpty(o))}finally{this.asking===t&&this.map.element.classList.remove("waits")}}async wholeOf(e){return(await this.app.mapItems(e).catch(()=>null))?.items??[]}showEmpty(e){this.empty.hidden=!1,Ar(e)?this.app.mayWrite?this.empty.replaceChildren(C("h2",{},"This gallery is empty"),C("p",{},"Drop a recording onto this page, and open \u201CAdd this to the gallery\u201D below it."),lt("Choose a recording",()=>this.app.go("query"),"primary"),C("p",{class:"small"},"Many recordings at once are added in a terminal, with gfp add.")):this.empty.replaceChildren(C("h2",{},"This gallery is empty"),C("p",{},"Nothing has been added to it yet. With your token you can read, and not add.")):this.empty.replaceChildren(_t("error",Wt(e)))}showStatus(e,t){let[n,s]=[Number(e.num_items),Number(e.num_mapped)],r=o=>o.toLocaleString("en");if(t&&!e.items.length){this.status.textContent=Lo;return}let a=`${r(e.items.length)} ${e.items.length===1?"item":"items"}`;t&&s!==e.items.length&&(a+=` of ${r(s)}`),s<n&&!t&&(a+=`, a sample of ${r(n)}`),a+=`, similar ones near each other (${e.projection}).`,e.is_improving&&(a+=" A better map is being made."),this.status.textContent=a}fillColourBy(e){this.colourNote.hidden=!e,this.colourNote.textContent="Colours by attribute are missing: with the attributes of all these items, the map is larger than what this server sends at once. Show fewer items, or start gfp-serve with a larger --max-message-bytes.";let t=this.colourBy.value,n=[["","label"],...this.attributes.map(s=>[s,s])];this.colourBy.replaceChildren(...n.map(([s,r])=>C("option",{value:s,selected:s===t},r)))}recolour(e=!1){this.colours=Yg(this.items,this.whole.items,this.colourBy.value,En().faint);let t=this.items.map(n=>{let{group:s,colour:r}=this.colours.of(n);return{id:n.id,x:n.x,y:n.y,group:hh(s),colour:r}});this.legend.show(this.colours),this.map.show(t,e),this.highlight(),this.fillList()}highlight(){this.map.highlight(new Set([...this.legend.chosen].map(hh)))}fillList(){let{chosen:e}=this.legend,n=this.items.map(s=>({item:s,...this.colours.of(s)})).filter(({group:s})=>!e.size||e.has(s));this.list.show(n,e.size>0,this.panel.id)}};function r0(i,e){return C("label",{class:"field"},C("span",{},i),e)}function Sw(i){let e=C("div",{class:"switch",role:"group","aria-label":"What is listed"});return i.forEach(([t,n])=>{let s=lt(t,()=>{i.forEach(([,r],a)=>{r.hidden=r!==n,e.children[a]?.setAttribute("aria-pressed",String(r===n))})});s.setAttribute("aria-pressed",String(!n.hidden)),e.append(s)}),e}var Mw=[11,12,23,24],ww=1.2,Vd="The camera was closed.",mh=class{constructor(e,t){this.handlers=t;this.video=e}handlers;video;stream=null;worker=null;isBusy=!1;isClosed=!1;leave=()=>{};last=null;begun=0;sent=0;async open(){if(this.stream=await navigator.mediaDevices.getUserMedia({audio:!1,video:{width:{ideal:640},height:{ideal:480},facingMode:"user"}}),this.isClosed)throw this.close(),new Error(Vd);if(this.video.srcObject=this.stream,await this.video.play(),this.isClosed)throw new Error(Vd);let e=new Worker("/page/pose_worker.js");this.worker=e,await new Promise((t,n)=>{this.leave=n,e.onmessage=({data:s})=>{s.kind==="ready"?t():s.kind==="failed"&&n(new Error(`The pose model cannot run in this browser (${s.why}).`))},e.onerror=s=>n(new Error(`The pose model cannot be loaded (${s.message}).`))}),e.onmessage=({data:t})=>this.hear(t),this.look()}close(){this.isClosed=!0;for(let e of this.stream?.getTracks()??[])e.stop();this.worker?.terminate(),this.leave(new Error(Vd)),this.video.srcObject===this.stream&&(this.video.srcObject=null)}look(){this.isClosed||this.video.requestVideoFrameCallback(async e=>{if(!this.isClosed){if(!this.isBusy&&this.worker){this.isBusy=!0;try{let t=await createImageBitmap(this.video);this.worker.postMessage({bitmap:t,time:e},[t])}catch{this.isBusy=!1}}this.look()}})}hear(e){if(this.isClosed||e.kind==="ready")return;if(this.isBusy=!1,e.kind==="failed"){this.handlers.failed(new Error(e.why));return}let t=new Float32Array(99).fill(Number.NaN);if(e.landmarks)for(let n=0;n<33;n++)e.landmarks[4*n+3]<.3&&!Mw.includes(n)||t.set(e.landmarks.subarray(4*n,4*n+3),3*n);this.handlers.pose(e.landmarks?Tw(t):null),this.step(e.time/1e3,t)}step(e,t){let n=this.last;if(this.last={time:e,joints:t},!n){this.begun=e,this.sent=0;return}for(;;){let s=this.begun+this.sent/15;if(s>e)return;let r=Math.min(Math.max((s-n.time)/Math.max(e-n.time,.001),0),1),a=new Float32Array(99).fill(Number.NaN);if(e-n.time<ww)for(let o=0;o<a.length;o++)a[o]=n.joints[o]*(1-r)+t[o]*r;this.handlers.frame(a),this.sent+=1}}};function Tw(i){let e=new Float32Array(i);for(let t=0;t<e.length;t+=3)e[t+1]=-i[t+1],e[t+2]=-i[t+2];return e}var Ew=4,gh=class{constructor(e){this.window=e}window;frames=[];poses=[];clear(){this.frames=[],this.poses=[]}addPose(e){let t=performance.now()/1e3;this.poses.push({time:t,isSeen:e});let n=this.poses.filter(s=>s.time>t-2*this.window);this.poses=n.length<2?this.poses.slice(-2):n}addFrame(e){this.frames.push(e.some(t=>!Number.isNaN(t)))}whyNothing(e){let t=Math.round(e*15);return this.frames.slice(Math.max(t-this.window*15,0),t).includes(!0)?null:this.slowness()&&this.poses.some(({isSeen:n})=>n)?"":"Nobody is in the picture. Step back until your whole body is seen."}slowness(){let[e,t]=[this.poses[0]?.time??0,this.poses.at(-1)?.time??0],n=(this.poses.length-1)/(t-e);return t-e<this.window||n>=Ew?"":`This browser finds only ${n.toFixed(1)} poses a second, too few for quick movements. Close other programs, or use a faster computer.`}};var a0=2,Gd=.5,Aw=40,vh=class{constructor(e){this.app=e;this.gallery=e.gallery,this.player.playing=!0,this.live=this.player.addStage({label:"Your skeleton, live"}),this.live.clip=Yn.ofLive("mediapipe33",33),this.live.pose={places:new Float32Array(99).fill(Number.NaN),centre:[0,0]},this.nearest=this.player.addStage({label:"Moving skeleton: the nearest item"}),this.nearestBox=C("div",{},yn(this.nearest,"","Nearest")),this.switch_=lt("Start the camera",()=>this.camera?this.stop():this.start(),"primary"),this.stages=C("div",{class:"live-row",hidden:!0},C("article",{class:"card query-card"},yn(this.live,"","You"),this.video),C("article",{class:"card"},this.nearestBox,this.nearestWords),C("article",{class:"card now-card"},C("h2",{},"Now"),this.now,this.similarity,this.slow,zd(t=>{this.unknownBelow=t}),C("h3",{},"Before"),this.history)),this.element=C("section",{class:"live view"},C("header",{class:"query-head"},C("div",{},C("h1",{},"Live"),C("p",{class:"small"},"Your browser finds the joints of one person in the camera. The video stays in this browser; only the joints go to this server.")),this.switch_),this.problem,this.stages,this.counted,this.notes)}app;element;player=new ei;live;nearest;nearestBox;nearestWords=C("div",{class:"words"});video=C("video",{playsinline:!0,"aria-label":"The camera"});now=C("p",{class:"class"},"\u2026");similarity=C("p",{class:"small number"});slow=C("p",{class:"small",role:"status"});history=C("ol",{class:"history","aria-label":"The last classes"});problem=C("div",{class:"problems"});notes=C("div",{class:"notices"});switch_;counted=C("section",{class:"card count-card","aria-label":"Repetitions"});number=C("p",{class:"repetitions",role:"status"},"0");stages;wantedPlayer=new ei;unknownBelow=null;seen=new gh(a0);camera=null;stream=null;waiting=[];isSending=!1;countId="";gallery;shownFor="";shownItem="";seenLabels=[];async open(e){this.player.ask(),this.wantedPlayer.ask();let t=e.get("count")??"",n=this.keyOf(t);n!==this.shownFor&&(this.shownFor=n,this.countId=t,this.gallery!==this.app.gallery&&this.forget(),this.stream&&this.openStream(),await this.showCounted())}close(){this.stop()}key(e){return e.shiftKey&&this.player.key(e)}forget(){this.gallery=this.app.gallery,this.now.textContent="\u2026",this.similarity.textContent="",this.history.replaceChildren(),this.seenLabels=[],this.shownItem="",this.nearest.clip=void 0,this.nearestBox.replaceChildren(yn(this.nearest,"","Nearest")),this.nearestWords.replaceChildren()}async showCounted(){let{app:e,countId:t,shownFor:n}=this;this.wantedPlayer.clear();let s=C("a",{href:e.address("gallery")},"the gallery");if(!t){let c=C("p",{class:"small"},"Open an item in ",s," that shows one repetition, and press \u201CCount live\u201D there.");In(this.counted,[C("h2",{},"Count repetitions"),c],s);return}let r;try{r=await e.item(t)}catch(c){this.shownFor===n&&this.counted.replaceChildren(_t("error",Wt(c)));return}if(this.shownFor!==n)return;this.number.textContent="0";let a=vi(r),o=`Moving skeleton: the wanted movement ${r.label||r.id}`,l=a&&this.wantedPlayer.addStage({clip:a,label:o});this.counted.replaceChildren(yn(l,ai),this.number,C("div",{},C("h2",{},`repetitions of ${r.label||r.id}`),C("p",{class:"small"},`${r.id}. Each time that your movement comes near to it and leaves it again counts one.`),lt("Stop counting",()=>e.go("live")))),this.wantedPlayer.restart()}async start(){this.problem.replaceChildren(_t("note","Loading the pose model (20 MB, from this server) \u2026")),this.switch_.disabled=!0;let e=new mh(this.video,{pose:t=>{this.seen.addPose(t!==null),t&&this.live.pose&&(this.live.pose={places:t,centre:[0,0]})},frame:t=>this.takeFrame(t),failed:t=>this.fail(t)});this.camera=e;try{if(await e.open(),this.camera!==e)return;this.problem.replaceChildren(),this.switch_.disabled=!1,this.stages.hidden=!1,this.switch_.textContent="Stop the camera",this.openStream(),this.player.play(!0)}catch(t){this.camera===e&&this.fail(Cw(t))}}stop(){this.camera?.close(),this.camera=null,this.stream?.close(),this.stream=null,this.stages.hidden=!0,this.problem.replaceChildren(),this.switch_.disabled=!1,this.switch_.textContent="Start the camera"}fail(e){this.stop(),this.problem.replaceChildren(_t("error",Wt(e)))}openStream(){this.stream?.close(),this.waiting=[],this.seen.clear();let{gallery:e}=this.app,t={layout:"mediapipe33",num_bodies:1,fps:15,window_frames:Math.round(a0*15),stride_frames:Math.round(Gd*15),conventions:{up:"-y"},search:{top_k:1,gallery:e},classify:{gallery:e},...this.countId?{count:this.countId}:{}},n=new Vo(t,(s,r)=>{s==="window"&&this.stream===n&&this.showWindow(r)});this.stream=n,n.done.then(()=>this.stream===n&&this.camera&&this.fail(new Error("The server ended the stream.")),s=>this.stream===n&&this.fail(s))}takeFrame(e){this.waiting.push(e),this.waiting.length>300&&this.waiting.shift(),this.send()}async send(){let{stream:e}=this;if(!(this.isSending||!e)){this.isSending=!0;try{for(await e.opened;this.waiting.length&&this.stream===e;){let t=this.waiting.splice(0),n=new Float32Array(t.length*33*3);t.forEach((s,r)=>{n.set(s,r*33*3),this.seen.addFrame(s)}),await e.send(Bo(n),t.length)}}catch(t){this.stream===e&&this.fail(t)}finally{this.isSending=!1}}}showWindow(e){for(let{text:n}of e.warnings)this.notes.append(_t("warning",n));e.num_repetitions!==void 0&&(this.number.textContent=String(e.num_repetitions)),this.slow.textContent=this.seen.slowness();let t=e.neighbours[0];if(e.problem)this.now.textContent="\u2014",this.similarity.textContent=al(this.seen.whyNothing(e.end_s)??e.problem);else{let{classification:n}=e,s=(n?.neighbours[0]??t)?.similarity??Number.NEGATIVE_INFINITY,a=n&&!n.unknown&&s>=(this.unknownBelow??s)?n.label:"unknown";this.now.textContent=Ii(a),this.similarity.textContent=t?`similarity ${t.similarity.toFixed(3)}`:"",this.addToHistory(a)}t&&this.keyOf(t.id)!==this.shownItem&&this.showNearest(t.id)}addToHistory(e){let t=this.history.firstElementChild;if(!e)return;if(t?.dataset.label===e){t.dataset.count=String(Number(t.dataset.count)+1),t.lastElementChild.textContent=`${(Number(t.dataset.count)*Gd).toFixed(1)} s`;return}this.seenLabels.includes(e)||this.seenLabels.push(e);let n=C("li",{},C("span",{class:"swatch"}),C("span",{class:"name"},e),C("span",{class:"number"},`${Gd.toFixed(1)} s`));for(n.dataset.label=e,n.dataset.count="1",n.style.setProperty("--own",Cr(this.seenLabels.indexOf(e)%10,10)),this.history.prepend(n);this.history.childElementCount>Aw;)this.history.lastElementChild?.remove()}keyOf(e){return`${this.app.gallery}
${e}`}async showNearest(e){let t=this.keyOf(e);this.shownItem=t;let n=await this.app.item(e).catch(()=>null);if(!n||this.shownItem!==t)return;let s=vi(n);this.nearest.clip=s??void 0,this.player.mainSeconds=s?.seconds??null,this.player.place=0,this.nearest.describe(`Moving skeleton: ${n.label||n.id}`),this.nearestBox.replaceChildren(yn(s?this.nearest:null,ai,"Nearest"));let r=C("a",{href:this.app.address("gallery",{item:e})},e);In(this.nearestWords,[C("h2",{},n.label||"no label"),C("p",{class:"small"},r)],r)}};function Cw(i){let e=i instanceof DOMException?i.name:"";return e==="NotAllowedError"?new Error("The browser did not allow the camera. Allow it for this page, and start the camera again."):e==="NotFoundError"?new Error("There is no camera. Connect one, and start the camera again."):window.isSecureContext?i instanceof Error?i:new Error(String(i)):new Error("Browsers give a camera only to pages of this machine or over HTTPS. Start gfp-serve with a certificate.")}var xh=class{constructor(e){this.handlers=e;this.handles={start:this.handle("start"),end:this.handle("end")},this.track=C("div",{class:"track"},this.lane,this.part,this.now,this.handles.start,this.handles.end),this.element=C("div",{class:"timeline"},this.track,this.ticks),this.dragPart(),this.dragNew()}handlers;element;track;part=C("div",{class:"chosen"});now=C("div",{class:"now"});lane=C("div",{class:"lane"});ticks=C("div",{class:"ticks","aria-hidden":"true"});handles;whole=1;least=.1;most=Number.POSITIVE_INFINITY;start=0;end=1;show(e,t,n){[this.whole,this.least,this.most]=[e,Math.min(t,e),Math.min(n,e)],this.set(0,this.most);let r=[.5,1,2,5,10,15,30,60,120,300,600,1800,3600].find(o=>e/o<=8)??7200,a=[];for(let o=0;o<=e+1e-6;o+=r){let l=C("span",{},Rw(o));l.style.left=`${100*o/e}%`,a.push(l)}this.ticks.replaceChildren(...a),this.showSegments([])}set(e,t){let n=Math.min(Math.max(t-e,this.least),this.most);this.start=Math.min(Math.max(e,0),this.whole-n),this.end=this.start+n;let s=r=>`${100*r/this.whole}%`;this.part.style.left=s(this.start),this.part.style.width=s(this.end-this.start);for(let[r,a]of Object.entries(this.handles)){let o=r==="start"?this.start:this.end;a.style.left=s(o),a.setAttribute("aria-valuemin","0"),a.setAttribute("aria-valuemax",this.whole.toFixed(2)),a.setAttribute("aria-valuenow",o.toFixed(2)),a.setAttribute("aria-valuetext",`${o.toFixed(2)} seconds`)}}showNow(e){this.now.style.left=`${100*e/this.whole}%`}showSegments(e){In(this.lane,e.map(t=>{let n=t.similarity?.toFixed(2)??"",s=`${t.text}, ${t.start.toFixed(1)} to ${t.end.toFixed(1)} s`+(n&&`, similarity ${n}`),r=`${t.text} ${n}`.trim(),a=lt(r,()=>this.handlers.jump(t),"",{title:s,"aria-label":`Jump to ${s}`,"data-key":String(t.start)});return a.style.left=`${100*t.start/this.whole}%`,a.style.width=`${100*(t.end-t.start)/this.whole}%`,a.style.setProperty("--own",t.colour),a}),this.handles.start),this.element.classList.toggle("has-lane",e.length>0)}timeAt(e){let t=this.track.getBoundingClientRect();return Math.min(Math.max((e.clientX-t.left)/t.width,0),1)*this.whole}move(e,t){if(e==="start"){let n=Math.min(Math.max(t,0),this.end-this.least);this.set(Math.max(n,this.end-this.most),this.end)}else{let n=Math.max(Math.min(t,this.whole),this.start+this.least);this.set(this.start,Math.min(n,this.start+this.most))}}tell(e){this.handlers.choose(this.start,this.end,e)}handle(e){let t=e==="start"?"Start of the part":"End of the part",n=C("div",{class:`handle ${e}`,role:"slider",tabindex:0,"aria-label":t});return bt(n,{pointerdown:s=>{n.setPointerCapture(s.pointerId),s.stopPropagation()},pointermove:s=>{n.hasPointerCapture(s.pointerId)&&(this.move(e,this.timeAt(s)),this.tell(!1))},pointerup:()=>this.tell(!0),keydown:s=>{let r=(s.shiftKey?.1:.01)*this.whole,a=e==="start"?this.start:this.end,o={ArrowLeft:a-r,ArrowDown:a-r,ArrowRight:a+r,ArrowUp:a+r,Home:0,End:this.whole}[s.key];o!==void 0&&(s.preventDefault(),this.move(e,o),this.tell(!0))}})}dragPart(){let e=null;bt(this.part,{pointerdown:t=>{t.stopPropagation(),this.part.setPointerCapture(t.pointerId),e=this.timeAt(t)-this.start},pointermove:t=>{if(e===null||!this.part.hasPointerCapture(t.pointerId))return;let n=this.timeAt(t)-e;this.set(n,n+this.end-this.start),this.tell(!1)},pointerup:()=>{e=null,this.tell(!0)}})}dragNew(){let e=null;bt(this.track,{pointerdown:t=>{t.target.closest("button")||(this.track.setPointerCapture(t.pointerId),e=this.timeAt(t))},pointermove:t=>{if(e===null)return;let n=this.timeAt(t);Math.abs(n-e)<.01*this.whole||(this.set(Math.min(e,n),Math.max(e,n)),this.tell(!1))},pointerup:()=>{e!==null&&this.tell(!0),e=null}})}};function Rw(i){return i<60?`${Number(i.toFixed(1))} s`:`${Math.floor(i/60)}:${String(Math.round(i%60)).padStart(2,"0")}`}var Pw=240,o0=16;async function l0(i,e,t,n,s){let r=e.fps||30,a=Math.min(Math.max(Math.round(t.seconds*r),2),e.num_frames),o=Math.max(1,Math.round(a/4),Math.ceil((e.num_frames-a)/(Pw-1))),l=[];for(let d=0;d+a<=e.num_frames;d+=o)l.push(d);let c=[],u=Iw(i,e.positions.length*a/e.num_frames);for(let d=0;d<l.length;d+=u){let h=l.slice(d,d+u);c.push(...await c0(i,h.map(f=>zo(e,f,f+a)),t,n)),s(Lw(l,c,a,o,r),c.length/l.length)}}function Iw(i,e){let t=i.info?.limits;if(!t)return o0;let n=Math.floor(.9*Number(t.max_message_bytes)/(e+500));return Math.max(1,Math.min(o0,t.max_sequences,n))}async function c0(i,e,t,n){let s=r=>({queries:r.map(a=>({sequence:a})),gallery:i.gallery,...t.unknownBelow===null?{}:{unknown_below:t.unknownBelow},...t.filter?{filter:t.filter}:{}});try{return(await Bt("GalleryService/Classify",s(e),n)).results}catch(r){if(!Ps(r,"queries"))throw r;if(e.length===1)return[null];let a=[e.slice(0,e.length/2),e.slice(e.length/2)],o=[];for(let l of a)o.push(...await c0(i,l,t,n));return o}}function Lw(i,e,t,n,s){let r=[...new Set(e.flatMap(o=>o?.label?[o.label]:[]))].sort(),a=[];return e.forEach((o,l)=>{let c=i[l]+t/2,u=l?c-n/2:0,d=l===i.length-1?i[l]+t:c+n/2,h=o===null?"nobody":o.unknown?"unknown":o.label,f=a.at(-1),g=o?.neighbours[0]?.similarity??null;if(f&&f.text===h)f.end=d/s,g!==null&&(f.similarity=Math.max(f.similarity??g,g));else{let b=o?.label&&!o.unknown?Cr(r.indexOf(o.label),r.length):En().line;a.push({start:u/s,end:d/s,text:h,colour:b,similarity:g})}}),a}var Nw=4,yh=class{constructor(e,t,n){this.app=e;this.settings=t;this.tell=n;this.timeline=new xh({choose:(s,r,a)=>this.move(a),jump:s=>{this.timeline.set(s.start,s.end),this.move(!0)}}),this.element.append(this.note,this.timeline.element,this.problem)}app;settings;tell;which=C("div",{});element=C("section",{class:"card time-card","aria-label":"Time in the recording",hidden:!0});recording=null;recordings=[];note=C("p",{class:"small"});problem=C("div",{class:"problems"});timeline;looking=new AbortController;isLooked=!0;take(e){if(this.recordings=e,this.which.replaceChildren(),e.length>1){let t=e.map(({name:s,label:r},a)=>[String(a),r?`${s} \xB7 ${r}`:s]),n=ls("Recording of this file",t,"0",s=>this.choose(Number(s)));this.which.append(C("div",{class:"which"},n))}this.choose(0)}forget(){this.stop(),this.recording=null,this.element.hidden=!0,this.which.replaceChildren()}get about(){if(!this.recording)return"";let{name:e,label:t,sequence:n}=this.recording;return[this.recordings.length>1?e:"",t&&`labelled ${t}`,`${$n(this.length)}, ${n.num_frames} frames`,`joints as ${n.layout}`].filter(Boolean).join(" \xB7 ")}get sequence(){let{sequence:e}=this.recording,t=e.fps||30,n=Math.min(Math.round(this.timeline.start*t),e.num_frames-1),s=Math.min(Math.max(Math.round(this.timeline.end*t),n+1),e.num_frames);return n===0&&s===e.num_frames?e:zo(e,n,s)}async look(){this.looking.abort();let e=new AbortController;if(this.looking=e,this.problem.replaceChildren(),this.isLooked=this.length<Nw,!this.recording||this.isLooked)return;let t=[],n={seconds:this.settings.windowSeconds,unknownBelow:this.settings.unknownBelow,filter:this.settings.filter};try{await l0(this.app,this.recording.sequence,n,e.signal,s=>{e.signal.aborted||(t=s,this.timeline.showSegments(s))})}catch(s){if(e.signal.aborted)return;this.timeline.showSegments(t),!Ps(s,"filter")&&!Ar(s)&&this.problem.replaceChildren(_t("error",Wt(s)))}this.isLooked||=!e.signal.aborted}goOn(){this.isLooked||this.look()}stop(){this.looking.abort()}showNow(e){let t=this.timeline.start+e*(this.timeline.end-this.timeline.start);return this.timeline.showNow(t),t}get length(){let e=this.recording?.sequence;return e?e.num_frames/(e.fps||30):0}choose(e){let t=this.recordings[e];if(!t)return;this.recording=t;let{num_frames:n,fps:s}=t.sequence,r=(this.app.info?.limits.max_frames??n)/(s||30);this.element.hidden=n<8,this.timeline.show(this.length,Math.min(4/(s||30),this.length),r),this.describe(),this.tell.choose()}move(e){this.describe(),this.tell.move(e)}describe(){let{start:e,end:t}=this.timeline;this.note.textContent=`The query is ${$n(e)} to ${$n(t)}. Drag the ends, or move them with the arrow keys.`}};var Dw=5,bh=class{constructor(e){this.app=e;this.reading=new _a(e,(t,n,s)=>this.takeRecordings(t,n,s)),this.settings=new fh(()=>{this.search(),this.part.look()}),this.part=new yh(e,this.settings,{choose:()=>this.showRecording(),move:t=>this.showPart(t)}),this.video=C("video",{muted:!0,playsinline:!0,"aria-label":"The video that was dropped"}),this.video.muted=!0,this.player.onDraw=()=>this.follow(),this.welcome=e0(e,this.reading.chooser("Choose a file","primary"),()=>this.takeAny()),this.result.append(C("header",{class:"query-head"},C("div",{},this.heading,this.about,this.part.which),this.verdict),this.notices,this.row,this.part.element,C("div",{class:"under"},this.settings.element,this.remarkList,this.adding),C("div",{class:"bottom-bar"},this.player.controls(!0))),this.element=C("section",{class:"query view"},this.welcome,this.reading.element,this.result)}app;element;player=new ei;welcome;result=C("div",{class:"result",hidden:!0});reading;heading=C("h1",{});about=C("p",{class:"small"});verdict=C("div",{class:"verdict","aria-live":"polite"});notices=C("div",{class:"notices"});remarkList=C("div",{class:"notices"});row=C("div",{class:"row"});part;adding=C("div",{});settings;video;item=null;neighbours=[];queryStage=null;asking=new AbortController;shown="";searchSoon=cs(250,()=>this.search());async open(e){let t=e.get("item")??"",n=this.keyOf(t),s=n===this.shown;if(this.shown=n,s){this.player.ask(),this.part.goOn();return}if(!t){this.neighbours=[],this.part.recording?(this.search(),this.part.look()):this.showWelcome();return}try{let r=await this.app.item(t);this.shown===n&&this.takeItem(r)}catch(r){if(this.shown!==n)return;this.showWelcome(),this.reading.fail(r)}}close(){this.video.pause(),this.part.stop()}key(e){return!this.result.hidden&&this.player.key(e)}take(e){this.shown=this.keyOf(""),history.replaceState(null,"",this.app.address("query")),this.welcome.hidden=!0,this.result.hidden=!0,this.reading.read(e)}keyOf(e){return`${this.app.gallery}
${e}
${this.app.numChanges}`}showWelcome(){this.welcome.hidden=!1,this.result.hidden=!0}async takeAny(){try{let{items:e}=await this.app.mapItems(),t=e[Math.floor(Math.random()*e.length)];t&&this.app.go("query",{item:t.id})}catch(e){this.reading.fail(e)}}begin(){this.asking.abort(),this.part.stop(),this.welcome.hidden=!0,this.result.hidden=!1,this.reading.clear(),this.player.clear(),this.neighbours=[],this.video.pause(),this.video.src&&URL.revokeObjectURL(this.video.src),this.video.removeAttribute("src"),this.verdict.replaceChildren(C("p",{class:"small"},"Searching \u2026")),this.notices.replaceChildren(),this.remarkList.replaceChildren()}takeItem(e){this.begin(),this.item=e,this.heading.textContent=Ii(e.label||e.id),this.about.textContent=e.label?`${Ii(e.id)}, an item of the gallery`:"an item of the gallery",this.settings.showWindows(!1),this.part.forget(),this.adding.replaceChildren(),this.showQuery(vi(e),ai),this.search()}takeRecordings(e,t,n){this.begin(),this.item=null,this.settings.showWindows(!0),this.heading.textContent=Ii(e.name),this.remarkList.replaceChildren(...n.map(s=>_t("note",s))),e.type.startsWith("video/")&&(this.video.src=URL.createObjectURL(e)),this.part.take(t)}showRecording(){let{recording:e}=this.part;if(e){if(this.about.textContent=Ii(this.part.about),this.app.mayWrite){let n={id:`${this.heading.textContent?.replace(/\.[^.]*$/,"")??"dropped"}/${e.name}`,label:e.label};this.adding.replaceChildren(Jg(this.app,n,()=>this.part.sequence,()=>this.searchAgain()))}this.showQuery(Yn.ofSequence(this.part.sequence),"Nobody is seen in this part."),this.search(),this.part.look()}}showPart(e){let t=Yn.ofSequence(this.part.sequence);this.queryStage&&(this.queryStage.clip=t),this.player.mainSeconds=t.seconds,this.player.ask(),e&&this.searchSoon()}showQuery(e,t){let n=e?.isSeen??!1,s=`Moving skeleton: the query ${this.heading.textContent}`;this.queryStage=e&&n?this.player.addStage({clip:e,label:s}):null,this.player.mainSeconds=e?.seconds??null;let r=yn(this.queryStage,t,"Query");this.video.src&&r.append(this.video);let a=this.item?this.item.label||"no label":this.part.recording?.label||"your recording",o=C("article",{class:"card query-card"},r,C("div",{class:"words"},C("h2",{},a),C("p",{class:"small"},e?.knowsTime?$n(e.seconds):""))),l={class:"neighbours",role:"group","aria-label":"The nearest items",tabindex:-1};this.row.replaceChildren(o,C("div",l)),this.player.restart()}async search(){let e=this.item?{id:this.item.id}:this.part.recording?{sequence:this.part.sequence}:null;if(!e)return;this.asking.abort();let t=new AbortController;this.asking=t;let{filter:n,unknownBelow:s}=this.settings,r={queries:[e],gallery:this.app.gallery,...n?{filter:n}:{}};try{let[a,o]=await Promise.all([Bt("GalleryService/Search",{...r,top_k:Dw},t.signal),Bt("GalleryService/Classify",{...r,...s===null?{}:{unknown_below:s}},t.signal)]),l=new Map(a.warnings.map(u=>[u.kind,u.text]));this.settings.failFilter(""),this.notices.replaceChildren(...[...l.values()].map(u=>_t("warning",u)));let c=a.results[0]?.neighbours??[];n&&!c.length?this.verdict.replaceChildren():this.showVerdict(o.results[0]),await this.showNeighbours(c,r.gallery,t.signal)}catch(a){if(t.signal.aborted)return;this.verdict.replaceChildren();let o=Ps(a,"filter");this.settings.failFilter(o?Wt(a):""),this.notices.replaceChildren(o?"":Ar(a)?this.nothingYet():_t("error",Wt(a)))}}nothingYet(){let e="This gallery is empty, so nothing can be found yet.";return _t("note",this.app.mayWrite&&this.part.recording?`${e} Add this recording to it below.`:e)}searchAgain(){this.shown=this.keyOf(""),this.search(),this.part.look()}showVerdict(e){e&&this.verdict.replaceChildren(...t0(e))}async showNeighbours(e,t,n){let s=this.row.lastElementChild,r=u=>u.map(({id:d,label:h})=>`${d}
${h}`).join(`
`);if(e.length&&s.childElementCount===e.length&&r(e)===r(this.neighbours)){let u=s.querySelectorAll(".number");for(let[d,{similarity:h}]of e.entries())u[d]?.replaceChildren(Od(h));this.neighbours=e;return}let a=e.map(({id:u})=>u),o=await this.app.items(a,t);if(n.aborted)return;this.neighbours=e;for(let u of this.neighbourStages)this.player.remove(u);this.neighbourStages=[];let l=e.map((u,d)=>{let h=o[d],f=h?vi(h):null,g=`Moving skeleton: ${u.label||u.id}`,b=f&&this.player.addStage({clip:f,label:g});return b&&this.neighbourStages.push(b),n0(this.app,u,{rank:d+1,stage:b,clip:f,compare:()=>this.compareWith(u.id)})}),c=this.settings.filter?Lo:"Nothing was found for it.";In(s,l.length?l:[C("p",{class:"none",role:"status"},c)],s),this.player.restart()}neighbourStages=[];compareWith(e){this.item?this.app.go("compare",{motion:this.item.id,wanted:e}):(this.app.handed={name:this.heading.textContent??"",sequence:this.part.sequence},this.app.go("compare",{wanted:e}))}follow(){if(!this.part.recording)return;let e=Math.min(this.player.place,1),t=this.queryStage?.clip,n=t?this.player.shareOf(t):e,s=this.part.showNow(n);this.video.readyState>1&&!this.video.seeking&&Math.abs(this.video.currentTime-s)>.04&&(this.video.currentTime=s)}};var Wd=[["gallery","Gallery"],["query","Query"],["compare","Compare"],["live","Live"]],tn=new Go,No=document.querySelector("main"),Fw=document.querySelector("header.top"),Uw={gallery:()=>new ph(tn),query:()=>new bh(tn),compare:()=>new ah(tn),live:()=>new vh(tn)},xa=new Map,ti=null,d0=new Map,ya=C("select",{"aria-label":"Gallery",hidden:!0}),f0=lt("Forget token",Bw,"quiet",{hidden:!0}),h0="";function Ow(){let i=C("nav",{"aria-label":"Views"});for(let[e,t]of Wd){let n=C("a",{href:`#${e}`},t);d0.set(e,n),i.append(n)}bt(ya,{change:()=>{tn.gallery=ya.value,tn.go(ti??"gallery")}}),Fw.append(C("a",{class:"brand",href:"#gallery"},"GFP-Serve"),i,C("div",{class:"right"},C("span",{class:"who"},f0),ya))}function Bw(){Uh(),location.reload()}function kw(){document.querySelector(".skip")?.addEventListener("click",i=>{i.preventDefault(),No.focus()})}function Xd(){for(let[t,n]of d0)n.href=tn.address(t),t===ti?n.setAttribute("aria-current","page"):n.removeAttribute("aria-current");let i=tn.galleries.map(({name:t,num_items:n})=>{let s=`${t} \xB7 ${Number(n).toLocaleString("en")}`;return C("option",{value:t},s)}),e=i.map(({text:t})=>t).join(`
`);h0!==e&&ya.replaceChildren(...i),h0=e,ya.value=tn.gallery,ya.hidden=tn.galleries.length<2,f0.hidden=!_f()}var Hd=i=>tn.galleries.some(({name:e})=>e===i);function zw(i){ti&&xa.get(ti)?.close(),ti=null;let e=tn.galleries.map(({name:t})=>{let n=t==="default"?"#gallery":`#gallery?${new URLSearchParams({in:t})}`;return C("li",{},C("a",{href:n},t))});No.replaceChildren(C("div",{class:"card failed"},_t("error",`There is no gallery \u201C${i}\u201D here that this encoder can use.`),e.length?C("p",{},"These are there:"):null,C("ul",{},...e))),Xd()}async function u0(){let i=location.hash,[e,t]=i.slice(1).split("?"),n=new URLSearchParams(t??""),s=Wd.some(([l])=>l===e)?e:"gallery",r=n.get("in")??"default";if(n.has("in")&&!Hd(r)){if(await tn.readGalleries().catch(()=>{}),location.hash!==i)return;if(!Hd(r)){zw(r);return}}Hd(r)&&(tn.gallery=r),ti&&ti!==s&&xa.get(ti)?.close();let a=xa.get(s);a||(a=Uw[s](),xa.set(s,a));let o=ti!==s;if(ti=s,document.title=`${Wd.find(([l])=>l===s)?.[1]} \xB7 GFP-Serve`,o&&No.replaceChildren(a.element),Xd(),a.open(n),tn.file&&a.take){let l=tn.file;tn.file=null,a.take(l)}}function Vw(){let i=C("div",{class:"veil",hidden:!0},C("p",{},"Drop the video or recording here"));document.body.append(i);let e=t=>t.dataTransfer?.types.includes("Files")??!1;addEventListener("dragenter",t=>{e(t)&&(i.hidden=!1)}),addEventListener("dragover",t=>{e(t)&&t.preventDefault()}),addEventListener("dragleave",t=>{t.relatedTarget===null&&(i.hidden=!0)}),addEventListener("drop",t=>{if(i.hidden=!0,!e(t))return;t.preventDefault();let n=t.dataTransfer?.files[0];if(!n)return;let s=ti&&xa.get(ti);s&&"take"in s&&s.take?s.take(n,t.target):(tn.file=n,tn.go("query"))})}gf(async i=>await Io("This server asks for a token",i?"The server does not know the last one. Whoever runs the server gives you another.":"Whoever runs the server gives you one.","Use it",{label:"Token",value:"",secret:!0})||null);async function Gw(){Ow(),kw(),No.replaceChildren(C("p",{class:"status waiting"},"Asking the server \u2026"));try{let i=fetch("/page/layouts.json").then(e=>e.json());tn.info=await Bt("EmbeddingService/GetInfo",{}),await tn.readGalleries(),ff(await i)}catch(i){let e=lt("Try again",()=>location.reload(),"primary");i instanceof _i&&i.code==="unauthenticated"&&Uh(),No.replaceChildren(C("div",{class:"card failed"},_t("error",Wt(i)),e));return}tn.onGalleries=Xd,Vw(),Yp(i=>(ti&&xa.get(ti)?.key?.(i))??!1),addEventListener("hashchange",u0),u0()}Gw();
