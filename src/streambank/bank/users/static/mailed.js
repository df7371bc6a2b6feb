// What the links in e-mails lead to. The token is in the fragment, which no server and no log sees; it is sent when the
// person says so, and not by whatever looks at links.
const PAGES = {
  "/verify-email": {
    title: "Confirm your e-mail address",
    what: "One step is left: confirm that this address is yours.",
    go: "Confirm",
    done: "Your address is confirmed. You can close this page.",
    path: "/v1/users/verify",
  },
  "/reset-password": {
    title: "Choose a new password",
    what: "You will be logged out everywhere else.",
    go: "Set the password",
    done: "Your new password is set. You can close this page and log in.",
    path: "/v1/password-resets/confirm",
    password: true,
  },
};

const page = PAGES[location.pathname];
const element = (id) => document.getElementById(id);
const token = new URLSearchParams(location.hash.slice(1)).get("token");

function tell(text) {
  element("told").textContent = text;
}

function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function send(key) {
  const body = page.password ? { token, password: element("password").value } : { token };
  const answer = await fetch(page.path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "Idempotency-Key": key },
    body: JSON.stringify(body),
  });
  if (answer.ok) {
    return page.done;
  }
  const problem = await answer.json();
  const details = (problem.errors ?? []).map((error) => error.detail);
  throw new Error(details.length ? details.join(" ") : problem.detail);
}

element("title").textContent = page.title;
document.title = `${page.title} – streambank`;
if (token) {
  // Out of the address bar and the history: whoever looks over a shoulder sees nothing that can be used.
  history.replaceState(null, "", location.pathname);
  element("what").textContent = page.what;
  element("go").textContent = page.go;
  element("choose").hidden = !page.password;
  element("password").required = Boolean(page.password);
  element("form").hidden = false;
} else {
  tell("This link is not whole: open it again from the e-mail, and copy all of it.");
}

element("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  element("go").disabled = true;
  tell("");
  try {
    tell(await send(newKey()));
    element("form").hidden = true;
  } catch (error) {
    tell(error instanceof TypeError ? "The bank cannot be reached. Try again in a while." : error.message);
  } finally {
    element("go").disabled = false;
  }
});
