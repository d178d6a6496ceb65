// The ceiling on Workers: an answer that is always the same. Its body and headers are those of one of our own, handed over as variables.

/** @type {Record<string, string> | undefined} */
let headers;

export default {
  /**
   * @param {Request} _request
   * @param {{BODY: string, HEADERS: string}} env
   */
  fetch(_request, env) {
    headers ??= /** @type {Record<string, string>} */ (JSON.parse(env.HEADERS));
    return new Response(env.BODY, { headers });
  },
};
