// The Worker's entry: the Go program, started here in global scope, answers every request.
import { env } from "cloudflare:workers";
import { serve } from "../../worker/host.mjs";
import program from "../../build/coze-token.wasm";

export default serve(program, env);
