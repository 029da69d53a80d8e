// Package e2e holds the tests of conforma-status as a whole: the built binary, a real nginx, a real S3
// server and a real browser, on loopback. They are a module of their own so that what only they need
// never reaches the product's go.mod. Each folder is a subject:
//
//   - closing: what is under way when a site closes is finished or cut, and nothing gets past.
//   - barrier: the kernel keeps nginx from a closed application, whatever leads there, and what becomes where it can't.
//   - faults: whatever dies, fails or is refused halfway, the site is in the old mode, in the new one, or shut.
//   - modes: what becomes of each request in each mode, and what visitors are told.
//   - gate: who passes in admin mode, and who doesn't.
//   - publishing: what goes to the store, an S3 server or a directory, and how it is served from there.
//   - page: the maintenance page in a browser.
//   - frontend: the client in an application's front end, in a browser.
//   - commands: what each command says, and that the handbook says the same; the demo and the preview.
//   - doctor: each of the doctor's checks fails where it has to, and its advice helps.
//   - host: init, the package, systemd, containers, users and files of the machine.
//   - conforma: the launch and snapshot scripts of Conforma, and whether its database is idle.
//
// What they share is in internal.
//
// No test wins by being quicker than what it tests. What a case needs is built and started before it begins, and
// what is to come in an order waits for a signal: an application that holds a request until it is released
// (rig.App.Release), what a command says (rig.Running.Says), what a server has read (rig.Conn.Taken), traffic that
// has gone on since. What must not happen is looked for once whatever would have brought it has had its turn. A wait
// is bounded by rig.Patience and by nothing shorter; how long something takes is for the benchmarks.
package e2e
