// What tools/site.py makes when the site is built; `house` is JSON, and its type is read from it.
declare module "linear-wasm" {
  const code: Uint8Array<ArrayBuffer>;
  export default code;
}
declare module "worker-code" {
  const code: string;
  export default code;
}
