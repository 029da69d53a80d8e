package conforma

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/msupply-foundation/conforma-status/deploy/e2e/internal/rig"
)

// private is in every statement of the application: it must not get out.
const private = "token-of-a-visitor"

// insert is a write of the application.
const insert = `INSERT INTO saved VALUES ('` + private + `');`

// settledPostgres is the path of the script under test.
func settledPostgres(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "settled-postgres.sh"))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// question is a run of the script.
type question struct {
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
}

// startSettled starts the script with the command for psql, for somebody whose ~/.psqlrc would spoil the answer.
func startSettled(t *testing.T, psql []string) *question {
	t.Helper()
	home := rig.Dir(t)
	rig.WriteFile(t, filepath.Join(home, ".psqlrc"), "\\echo psqlrc was read\n\\set ON_ERROR_STOP off\n\\o /dev/null\ngarbage;\n")
	q := &question{cmd: exec.Command(settledPostgres(t), psql...)}
	q.cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=" + home, "LC_ALL=C"}
	q.cmd.Stdout, q.cmd.Stderr = &q.stdout, &q.stderr
	if err := q.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return q
}

// check fails unless the script ends with the code and says what want matches in full: nothing on standard output,
// nothing of the application's statements, nothing that ~/.psqlrc did.
func (q *question) check(t *testing.T, code int, want string) {
	t.Helper()
	var exit *exec.ExitError
	if err := q.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	said := q.stderr.String()
	if got := q.cmd.ProcessState.ExitCode(); got != code {
		t.Errorf("exit code %d, want %d", got, code)
	}
	if !regexp.MustCompile(`^` + want + `$`).MatchString(said) {
		t.Errorf("said %q, want what matches %q", said, want)
	}
	if q.stdout.Len() > 0 || strings.Contains(said, private) || strings.Contains(said, "psqlrc") {
		t.Errorf("said on standard output:\n%s\nand on standard error:\n%s", q.stdout.String(), said)
	}
}

// askSettled runs the script and checks its answer.
func askSettled(t *testing.T, psql []string, code int, want string) {
	t.Helper()
	startSettled(t, psql).check(t, code, want)
}

// busy is what the script says of so many transactions, the oldest being in that state.
func busy(count int, state string) string {
	return fmt.Sprintf(`settled-postgres: transactions not finished: %d, the oldest for \d+ s, %s\n`, count, regexp.QuoteMeta(state))
}

// unknown is what the script says when it can't tell, after whatever psql or the shell said.
func unknown(why string) string {
	return `(?s:.*)settled-postgres: can't tell whether PostgreSQL is idle: ` + why + `\n`
}

func TestSettledPostgres(t *testing.T) { settled(t, rig.Only(usualSettled...)) }

// usualSettled are the cases of make test. The others are in the soak tests.
var usualSettled = []string{
	"nobody is connected", "between two transactions", "an open transaction that wrote", "a long statement", "a prepared transaction",
	"by a role that doesn't see the others", "in Conforma's container, by the name that Compose gives it",
	"a switch that cuts a write", "a server that doesn't answer",
}

func settled(t *testing.T, rows rig.Rows) {
	t.Parallel()
	pg := rig.NewPostgres(t)
	pg.Start(t)
	dir := rig.Dir(t)
	mute, err := net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432")) // connections wait to be accepted
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mute.Close() })
	unanswered := pg.Psql("postgres", "-h", dir).Args
	// Both take seconds, in which the rest can go on. The second is psql in a container, which gets nothing of the
	// script's environment.
	givenUp := startSettled(t, unanswered)
	waited := startSettled(t, append([]string{"env", "-u", "PGCONNECT_TIMEOUT"}, unanswered...))

	pg.Query(t, "postgres", "CREATE ROLE app LOGIN", "CREATE ROLE stranger LOGIN", "CREATE ROLE watcher LOGIN",
		"GRANT pg_read_all_stats TO watcher")
	pg.Query(t, "template1", "CREATE TABLE saved (what text)", "GRANT ALL ON saved TO app") // every database has it
	t.Run("running", func(t *testing.T) {
		for _, tt := range settledCases {
			if !rows(tt.name) {
				continue
			}
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				pg.Query(t, "postgres", "CREATE DATABASE "+tt.database)
				tt.run(t, settledCase{pg: pg, database: tt.database})
			})
		}
		if !rows("a switch that cuts a write") {
			return
		}
		t.Run("a switch that cuts a write", func(t *testing.T) {
			t.Parallel()
			pg.Query(t, "postgres", "CREATE DATABASE switched")
			switchCutsWrite(t, pg, "switched")
		})
	})
	t.Run("a server that doesn't answer", func(t *testing.T) {
		givenUp.check(t, 2, `(?s:.*)timeout expired`+unknown("the command failed with exit code 2"))
		waited.check(t, 2, unknown("no answer within 6 seconds"))
	})
	pg.Stop(t)
	askSettled(t, pg.Psql("postgres").Args, 2, unknown("the command failed with exit code 2"))
}

// settledCase is a database of its own, so that the cases don't see each other's transactions.
type settledCase struct {
	pg       *rig.Postgres
	database string
}

func (c settledCase) session(t *testing.T, options ...string) *rig.Session {
	t.Helper()
	return c.pg.Session(t, c.database, options...)
}

// ask asks as the superuser, or as the role given by the options.
func (c settledCase) ask(t *testing.T, code int, want string, options ...string) {
	t.Helper()
	askSettled(t, c.pg.Psql(c.database, options...).Args, code, want)
}

// await waits until the condition holds for some session of the database, beside the one that asks.
func (c settledCase) await(t *testing.T, condition string) {
	t.Helper()
	query := fmt.Sprintf("SELECT count(*) FROM pg_stat_activity WHERE datname = '%s' AND %s", c.database, condition)
	rig.WaitFor(t, "a session where "+condition, func() bool { return c.pg.Query(t, "postgres", query) != "0" })
}

var settledCases = []struct {
	name     string
	database string
	run      func(t *testing.T, c settledCase)
}{
	{"nobody is connected", "deserted", func(t *testing.T, c settledCase) {
		c.ask(t, 0, "")
	}},
	{"idle sessions, one of which listens", "listening", func(t *testing.T, c settledCase) {
		c.session(t).Do(t, "LISTEN news;")
		c.session(t, "-U", "app").Do(t, insert)
		c.ask(t, 0, "")
	}},
	{"an open transaction that wrote", "opened", func(t *testing.T, c settledCase) {
		s := c.session(t, "-U", "app")
		s.Do(t, "BEGIN;", insert)
		c.ask(t, 1, busy(1, "idle in transaction"))
		s.Do(t, "COMMIT;")
		c.ask(t, 0, "")
	}},
	{"a transaction that failed and was not rolled back", "failed", func(t *testing.T, c settledCase) {
		s := c.session(t)
		s.Do(t, "BEGIN;", "SAVEPOINT before;", "SELECT 1/0 AS \""+private+"\";") // it may go on from the savepoint
		c.ask(t, 1, busy(1, "idle in transaction (aborted)"))
	}},
	{"a long statement", "working", func(t *testing.T, c settledCase) {
		s := c.session(t, "-U", "app")
		s.Send(t, "INSERT INTO saved SELECT '"+private+"' FROM pg_sleep(3600);")
		c.await(t, "wait_event = 'PgSleep'")
		c.ask(t, 1, busy(1, "active"))
		c.pg.Query(t, c.database, "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()")
		s.Wait(t)
		c.ask(t, 0, "")
	}},
	{"a prepared transaction", "prepared", func(t *testing.T, c settledCase) {
		s := c.session(t)
		s.Do(t, "BEGIN;", insert, "PREPARE TRANSACTION '"+private+"';")
		c.ask(t, 1, busy(1, "prepared"))
		s.Do(t, "COMMIT PREPARED '"+private+"';")
		c.ask(t, 0, "")
	}},
	{"the oldest of several", "several", func(t *testing.T, c settledCase) {
		c.session(t).Do(t, "BEGIN;", insert, "PREPARE TRANSACTION '"+private+"-2';")
		rig.WaitFor(t, "the first to be older by a second", func() bool {
			return c.pg.Query(t, "postgres", "SELECT count(*) FROM pg_prepared_xacts WHERE database = 'several' AND clock_timestamp() - prepared > '1.1 s'") == "1"
		})
		c.session(t).Do(t, "BEGIN;", insert)
		c.session(t).Do(t, "BEGIN;", insert)
		c.ask(t, 1, busy(3, "prepared"))
		c.pg.Query(t, c.database, "ROLLBACK PREPARED '"+private+"-2'")
		c.ask(t, 1, busy(2, "idle in transaction"))
	}},
	{"another database is at work", "quiet", func(t *testing.T, c settledCase) {
		c.pg.Query(t, "postgres", "CREATE DATABASE noisy")
		c.pg.Session(t, "noisy").Do(t, "BEGIN;", insert)
		c.ask(t, 0, "")
	}},
	{"by the application's own role", "own", func(t *testing.T, c settledCase) {
		s := c.session(t, "-U", "app")
		c.ask(t, 0, "", "-U", "app")
		s.Do(t, "BEGIN;", insert)
		c.ask(t, 1, busy(1, "idle in transaction"), "-U", "app")
	}},
	{"by a role that doesn't see the others", "hidden", func(t *testing.T, c settledCase) {
		s := c.session(t, "-U", "app")
		why := unknown("sessions of other roles are hidden from this one: grant it pg_read_all_stats")
		c.ask(t, 2, why, "-U", "stranger")
		s.Do(t, "BEGIN;", insert)
		c.ask(t, 2, why, "-U", "stranger")
		c.ask(t, 1, busy(1, "idle in transaction"), "-U", "watcher")
	}},
	{"a session that isn't tracked", "untracked", func(t *testing.T, c settledCase) {
		c.session(t).Do(t, "SET track_activities = off;", "BEGIN;", insert)
		c.ask(t, 2, unknown("a session has track_activities off"))
	}},
	{"other views in front of PostgreSQL's", "shadowed", func(t *testing.T, c settledCase) {
		c.pg.Query(t, c.database, "CREATE VIEW pg_stat_activity AS SELECT * FROM pg_catalog.pg_stat_activity WHERE false",
			"ALTER DATABASE shadowed SET search_path = public, pg_catalog")
		c.session(t).Do(t, "BEGIN;", insert)
		c.ask(t, 1, busy(1, "idle in transaction"))
	}},
	{"a command that doesn't hand the question on", "unasked", func(t *testing.T, c settledCase) {
		sh := []string{"sh", "-c", `"$@" </dev/null`, "sh"} // as "docker exec" without -i
		askSettled(t, append(sh, c.pg.Psql(c.database).Args...), 2, unknown(`no whole answer came back \(docker exec needs its -i\)`))
	}},
	{"an answer cut off", "cut", func(t *testing.T, c settledCase) {
		sh := []string{"sh", "-c", `"$@" | head -n 1`, "sh"}
		c.session(t).Do(t, "BEGIN;", insert)
		askSettled(t, append(sh, c.pg.Psql(c.database).Args...), 2, unknown("no whole answer came back .*"))
	}},
	{"between two transactions", "between", func(t *testing.T, c settledCase) {
		// The script's own session begins or ends a transaction between the two looks.
		meanwhile := func(sql string) []string {
			sh := []string{"sh", "-c", "sed \"s/^SELECT 'again'.*/" + sql + " &/\" | \"$@\"", "sh"}
			return append(sh, c.pg.Psql(c.database).Args...)
		}
		askSettled(t, meanwhile("BEGIN; INSERT INTO public.saved VALUES ('"+private+"'); PREPARE TRANSACTION '"+private+"-3';"), 1, busy(1, "prepared"))
		askSettled(t, meanwhile("ROLLBACK PREPARED '"+private+"-3';"), 1, busy(1, "prepared"))
		c.ask(t, 0, "")
	}},
	{"in Conforma's container, by the name that Compose gives it", "contained", func(t *testing.T, c settledCase) {
		bin := rig.Dir(t)
		rig.WriteFile(t, filepath.Join(bin, "docker"), fmt.Sprintf("#!/bin/sh\n[ \"$1 $2\" = 'exec -i' ] || exit 1\n"+
			"[ \"$3\" = conforma-demo-on-8000-app-1 ] || { echo \"Error response from daemon: No such container: $3\" >&2; exit 1; }\n"+
			"[ \"$4 $5 $6 $7\" = 'psql -U postgres tmf_app_manager' ] || exit 1\nshift 7\nexec %s \"$@\"\n", strings.Join(c.pg.Psql(c.database).Args, " ")))
		rig.Check(t, os.Chmod(filepath.Join(bin, "docker"), 0o755))
		example := regexp.MustCompile(`"([^"]*)"`).FindAllStringSubmatch(regexp.MustCompile(`(?s)settled = \[.*?\]`).FindString(rig.ReadFile(t, settledPostgres(t))), -1)
		argv := []string{"env", "PATH=" + bin + ":/usr/bin:/bin"}
		for _, word := range example[1:] { // the first is the script
			argv = append(argv, word[1])
		}
		askSettled(t, argv, 0, "")
		s := c.session(t)
		s.Do(t, "BEGIN;", insert)
		askSettled(t, argv, 1, busy(1, "idle in transaction"))
		s.Do(t, "ROLLBACK;")
		askSettled(t, append(argv[:5:5], "conforma-demo-on-8000", "psql", "-U", "postgres", "tmf_app_manager"), 2,
			"Error response from daemon: No such container: conforma-demo-on-8000\n"+unknown("the command failed with exit code 1"))
	}},
	{"a database that isn't there", "renamed", func(t *testing.T, c settledCase) {
		askSettled(t, c.pg.Psql("nowhere").Args, 2, unknown("the command failed with exit code 2"))
	}},
	{"a password is wanted", "locked", func(t *testing.T, c settledCase) {
		conf := filepath.Join(c.pg.Data, "pg_hba.conf")
		rules, err := os.ReadFile(conf)
		if err != nil {
			t.Fatal(err)
		}
		rig.WriteFile(t, conf, "local locked app scram-sha-256\n"+string(rules))
		c.pg.Query(t, "postgres", "SELECT pg_reload_conf()")
		// The server takes up its configuration in its own time; new connections follow it from then on.
		rig.WaitFor(t, "the password to be wanted", func() bool {
			return c.pg.Psql(c.database, "-U", "app", "-w", "-c", "SELECT 1").Run() != nil
		})
		askSettled(t, c.pg.Psql(c.database, "-U", "app").Args, 2, `(?s:.*)no password supplied`+unknown("the command failed with exit code 2"))
	}},
	{"no psql", "toolless", func(t *testing.T, c settledCase) {
		askSettled(t, []string{"/nowhere/psql", "tmf_app_manager"}, 2, unknown("the command failed with exit code 127"))
		askSettled(t, nil, 2, unknown(`usage: settled-postgres.sh PSQL \[ARGUMENT\]...`))
	}},
	{"~/.psqlrc would have been read", "spoilt", func(t *testing.T, c settledCase) {
		home := rig.Dir(t)
		rig.WriteFile(t, filepath.Join(home, ".psqlrc"), "\\echo psqlrc was read\n")
		psql := c.pg.Psql(c.database, "-c", "SELECT 1")
		psql.Env = append(psql.Env, "HOME="+home)
		out, err := psql.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "psqlrc was read") {
			t.Errorf("the other cases prove nothing of it: %v\n%s", err, out)
		}
	}},
}

// TestNothingWrites: where the handbook has people look whether anything writes, PostgreSQL says so.
func TestNothingWrites(t *testing.T) {
	t.Parallel()
	query := "SELECT pg_current_wal_insert_lsn()"
	if page := rig.ReadFile(t, rig.Source("deploy", "OPERATIONS.md")); !strings.Contains(page, "-Atc '"+query+"'") {
		t.Fatalf("the handbook doesn't ask %q", query)
	}
	pg := rig.NewPostgres(t)
	pg.Start(t)
	pg.Query(t, "postgres", "CREATE TABLE saved (what text)", "CHECKPOINT")
	at := ""
	rig.WaitFor(t, "PostgreSQL to write nothing", func() bool { // of its own, after a start
		was := at
		at = pg.Query(t, "postgres", query)
		return at == was
	})
	pg.Query(t, "postgres", insert)
	if now := pg.Query(t, "postgres", query); now == at {
		t.Errorf("somebody wrote, and it still says %s", now)
	}
}

// TestSettledPostgresStandby asks a server that follows another one, which is where the application writes.
func TestSettledPostgresStandby(t *testing.T) {
	t.Parallel()
	pg := rig.NewPostgres(t)
	rig.WriteFile(t, filepath.Join(pg.Data, "standby.signal"), "")
	pg.Start(t)
	askSettled(t, pg.Psql("postgres").Args, 2, unknown("this is a standby, which doesn't see its primary's transactions"))
}

// TestSettledRefuses: nothing was left and nothing was cut, and the site's command doesn't vouch for the application:
// that is said, and nothing else.
func TestSettledRefuses(t *testing.T) {
	t.Parallel()
	s := rig.OnlineSingle(t)
	s.Configure(t, rig.Settings{Site: `settled = ["false"]`})
	r := s.CLI(t, "set", "offline", "--drain", "0s").Want(t, 4)
	rig.Says(t, r, "the settled command of demo does not vouch", "NOT SAFE: the settled command does not vouch for the application\n")
	again := s.CLI(t, "extend", "1h").Want(t, 4)
	rig.Says(t, again, "NOT SAFE: the settled command does not vouch for the application\n")
	if said := r.Stdout + r.Stderr + again.Stdout + again.Stderr; strings.Contains(said, "was cut") {
		t.Errorf("nothing was cut, and it says\n%s", said)
	}
}

// switchCutsWrite closes a site while its application is in the middle of a transaction for a request whose connection
// is cut: the answer is "safe" only once PostgreSQL has finished the transaction, and not before.
func switchCutsWrite(t *testing.T, pg *rig.Postgres, database string) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		// It doesn't stop when the client leaves. The transaction can't end while somebody holds the lock.
		out, err := pg.Psql(database, "-XqAt", "-v", "ON_ERROR_STOP=1", "-c", "BEGIN; "+insert+" SELECT pg_advisory_xact_lock(1); COMMIT").CombinedOutput()
		if err != nil {
			http.Error(w, string(out), http.StatusInternalServerError)
		}
	}))
	t.Cleanup(app.Close)
	holder := pg.Session(t, database) // ends before the application is waited for
	holder.Do(t, "LISTEN news;", "SELECT pg_advisory_lock(1);")

	h := rig.NewHost(t)
	psql, asked := filepath.Join(h.Nginx.Dir, "psql.sh"), filepath.Join(h.Nginx.Dir, "asked")
	rig.WriteFile(t, psql, fmt.Sprintf("echo asked >>%s\nexec %s \"$@\"\n", asked, strings.Join(pg.Psql(database).Args, " ")))
	b := h.Block(t, "demo")
	upstream, address := rig.Loopback(b.App.Port), app.Listener.Addr().(*net.TCPAddr)
	b.App.Port = address.Port
	h.EditConfig(t, fmt.Sprintf("upstreams = [%q]", upstream),
		fmt.Sprintf("upstreams = [%q]\nsettled = [%q, %q, %q]", address.String(), settledPostgres(t), "sh", psql))
	h.Install(t)

	client := h.Client(t, "demo").Dial(t)
	defer client.Close()
	client.Send(t, rig.GraphQL(b.Origin()))
	rig.WaitFor(t, "the application to be in the middle of it", func() bool {
		return pg.Query(t, "postgres", "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database"+
			" WHERE datname = '"+database+"' AND locktype = 'advisory' AND NOT granted") == "1"
	})
	set := h.Start(t, rig.Call{Args: []string{"set", "offline", "--site", "demo", "--drain", "1s", "--json"}})
	rig.WaitFor(t, "PostgreSQL to be asked again", func() bool { // so its first answer was not that it is idle
		data, _ := os.ReadFile(asked) // not there before the first time
		return strings.Count(string(data), "asked") >= 2
	})
	if got := pg.Query(t, database, "SELECT count(*) FROM saved"); got != "0" || set.Ended() {
		t.Errorf("before the transaction may end: %s rows, command ended: %v", got, set.Ended())
	}
	released := time.Now().Truncate(time.Millisecond)
	holder.Do(t, "SELECT pg_advisory_unlock(1);")

	r := set.Wait(t).Want(t, 0)
	if got := pg.Query(t, database, "SELECT count(*) FROM saved"); got != "1" {
		t.Errorf("rows when the command had ended: %s, want 1", got)
	}
	var receipts struct {
		Sites []struct {
			Cut, Left int
			SafeSince *time.Time
		}
	}
	if err := json.Unmarshal([]byte(r.Stdout), &receipts); err != nil || len(receipts.Sites) != 1 {
		t.Fatalf("receipt: %v\n%s", err, r.Stdout)
	}
	if got := receipts.Sites[0]; got.Cut == 0 || got.Left != 0 || got.SafeSince == nil || got.SafeSince.Before(released) {
		t.Errorf("the transaction could end at %v, the receipt says:\n%s", released.UTC(), r.Stdout)
	}
	if strings.Contains(r.Stdout+r.Stderr, private) {
		t.Errorf("a statement got out:\n%s\n%s", r.Stdout, r.Stderr)
	}
}
