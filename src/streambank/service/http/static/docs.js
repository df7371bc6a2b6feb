// /docs shows the whole API, /docs/SERVICE that of one service.
const service = location.pathname.split("/")[2];

SwaggerUIBundle({
  url: service ? `/openapi/${service}.json` : "/openapi.json",
  dom_id: "#api",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: false,
  // Asks no one else whether the document is valid.
  validatorUrl: null,
});
