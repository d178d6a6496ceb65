import { env } from "cloudflare:workers";
import { serve } from "../host.mjs";
import program from "./program.wasm";

export default serve(program, env);
