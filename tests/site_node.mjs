// Asks the site's engine on Node: reads one JSON object from stdin, writes one. See tests/test_site_engine.py.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { drawMany, Twister } from "../site/engine/random.js";
import { distribution, generate } from "../site/engine/sampling.js";
import { checkPrompt, checkSettings } from "../site/engine/settings.js";
import { readTokenizer } from "../site/engine/spm.js";
import { openWeights, scorer, trace } from "../site/engine/worker.js";

const read = (file) => new Uint8Array(readFileSync(file)).buffer;
const asked = JSON.parse(readFileSync(0, "utf8"));
const json = (name) => JSON.parse(readFileSync(join(asked.folder, name), "utf8"));
const tokenizer = readTokenizer(read(join(asked.folder, "spiece.model")), json("tokenizer_config.json"));
const attempt = (work) => {
  try {
    return work();
  } catch (error) {
    const { name, message, field, code, values, position } = error;
    return { error: { name, message, field, code, values, position } };
  }
};

const out = { vocab: tokenizer.vocab, special: { ...tokenizer.special, all: [...tokenizer.special.all] } };
out.tokens = asked.texts?.map((text) => attempt(() => tokenizer.tokenize(text)));
out.decoded = asked.decode?.map((ids) => tokenizer.decode(ids));
out.settings = asked.settings?.map(([settings, ids, positions]) =>
  attempt(() => {
    const checked = checkSettings(settings);
    if (ids) checkPrompt(ids, positions, checked);
    return checked;
  }),
);
out.drawn = asked.draws?.map(([probabilities, times, seed]) => drawMany(Float32Array.from(probabilities), times, new Twister(seed)));
if (asked.logits || asked.generations || asked.distributions || asked.trace) {
  const wasm = asked.wasm ? read(asked.wasm) : undefined;
  const model = await openWeights(read(join(asked.folder, "model.safetensors")), json("config.json"), wasm);
  const score = scorer(model);
  out.kind = model.maths.kind;
  out.logits = asked.logits?.map((ids) => [...score(ids)]);
  out.distributions = asked.distributions?.map(([ids, settings]) => {
    const found = distribution(score(ids), ids, checkSettings(settings), tokenizer.special.eos);
    return { ...found, tokenIds: [...found.tokenIds], raw: [...found.raw], final: [...found.final] };
  });
  out.generations = asked.generations?.map(([ids, settings]) => {
    const checked = checkSettings(settings), texts = [];
    for (const steps of generate(model, ids, checked, tokenizer.special))
      for (const { sequence, tokenId, raw, final } of steps) (texts[sequence] ??= []).push([tokenId, raw, final]);
    return texts;
  });
  if (asked.trace) {
    const found = trace(model, asked.trace);
    out.trace = { ...found, embeddings: [...found.embeddings], logits: [...found.logits] };
    for (const name of ["states", "attention"]) out.trace[name] = found[name].map((a) => [...a]);
  }
}
process.stdout.write(JSON.stringify(out));
