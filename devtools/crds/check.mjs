// Reads custom resources as a JSON array from its input, and writes what is wrong with them as a JSON array of texts.
// The models know patterns and what is required, the types know which keys there are: the API server would drop an
// unknown one without a word.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { argv } from "node:process";

const root = argv[2];
const require = createRequire(join(root, "package.json"));
const folder = (name) => join(root, "node_modules", name);
const ts = require("typescript");
const packages = {
  "monitoring.coreos.com/v1": folder("@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1"),
  "keda.sh/v1alpha1": folder("@kubernetes-models/keda/keda.sh/v1alpha1"),
};

function ofModel(resource, models) {
  try {
    new models[resource.kind](resource).validate();
    return [];
  } catch (error) {
    return [error.message];
  }
}

function ofTypes(resource, from) {
  const file = join(root, "resource.ts");
  const text =
    `import type { I${resource.kind} } from ${JSON.stringify(from)};\n` +
    `export const resource: I${resource.kind} = ${JSON.stringify(resource, null, 1)};\n`;
  const options = {
    strict: true,
    noEmit: true,
    types: [],
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.CommonJS,
    moduleResolution: ts.ModuleResolutionKind.Node10,
    skipLibCheck: true,
  };
  const host = ts.createCompilerHost(options);
  const read = host.getSourceFile;
  host.getSourceFile = (name, ...rest) =>
    name === file ? ts.createSourceFile(name, text, options.target) : read(name, ...rest);
  const program = ts.createProgram([file], options, host);
  const source = program.getSourceFile(file);
  const found = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
  return found.map((one) => ts.flattenDiagnosticMessageText(one.messageText, " "));
}

const problems = [];
for (const resource of JSON.parse(readFileSync(0, "utf8"))) {
  const from = packages[resource.apiVersion];
  const models = from && require(from);
  const found = models?.[resource.kind]
    ? [...ofModel(resource, models), ...ofTypes(resource, from)]
    : [`${resource.apiVersion} has no ${resource.kind} that we know`];
  problems.push(...found.map((problem) => `${resource.kind}: ${problem}`));
}
console.log(JSON.stringify(problems));
