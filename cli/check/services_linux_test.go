package check

import (
	"errors"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sunspool/health"
	"sunspool/internal/testservices"
	"sunspool/settings"
	"sunspool/vps"
)

// What a server would find in its database, and in Redis, is found before it is started: one line each, and no password in it.
func TestDatabasesThatAnswerAreLookedInto(t *testing.T) {
	pg, redis := testservices.Postgres(t, testservices.NoFsync), testservices.Redis(t, testservices.Password("canary-of-redis"))
	t.Setenv("DEVICE_TOKENS", token+":roof")
	t.Setenv("DATA_DIR", t.TempDir())
	u, err := url.Parse(pg.URL())
	if err != nil {
		t.Fatal(err)
	}
	pg.Exec("CREATE ROLE guest LOGIN PASSWORD 'canary'")
	if err := os.WriteFile(filepath.Join(pg.Data(), "pg_hba.conf"), []byte("host all guest all scram-sha-256\nhost all all all trust\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	pg.Exec("select pg_reload_conf()")
	as := func(user, password string) string {
		other := *u
		other.User = url.UserPassword(user, password)
		return other.String()
	}
	answers := func(database, redis string, codes ...string) {
		t.Helper()
		t.Setenv("DATABASE_URL", database)
		t.Setenv("REDIS_URL", redis)
		f, text, err := asked(t, Config{Role: "vps", Online: true, JSON: true})
		if len(f.Checks) != len(codes) || strings.Contains(text, "canary") {
			t.Fatalf("%s, %v", text, err)
		}
		bad := false
		for i, check := range f.Checks {
			if bad = bad || codes[i] != ""; check.Code != codes[i] || codes[i] != "" && (check.What == "" || check.Next == "" || strings.Contains(check.What, "\n")) {
				t.Errorf("%+v, want %q", check, codes[i])
			}
		}
		if fault, _ := errors.AsType[*health.Fault](err); (fault != nil) != bad {
			t.Errorf("%v", err)
		}
	}
	other, err := url.Parse(redis.URL())
	if err != nil {
		t.Fatal(err)
	}
	other.User = url.UserPassword("", "canary-wrong")

	answers(pg.URL(), redis.URL(), "", "") // an empty database
	answers(as("guest", "canary-wrong"), other.String(), "database_login", "redis_refuses")
	answers(as("guest", "canary"), redis.URL(), "database_rights", "") // it cannot make tables
	if err := vps.Run(t.Context(), vps.Config{DatabaseURL: settings.Secret(pg.URL()), MigrateOnly: true}, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	answers(pg.URL(), redis.URL(), "", "")
	answers(as("guest", "canary"), redis.URL(), "database_rights", "") // nor use those that are there
	pg.Exec("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO guest")
	answers(as("guest", "canary"), redis.URL(), "", "")
	pg.Exec("ALTER ROLE guest SET default_transaction_read_only = on")
	answers(as("guest", "canary"), redis.URL(), "database_read_only", "") // as a standby is
	pg.Exec("UPDATE sunspool_schema SET version = 99")
	answers(pg.URL(), redis.URL(), "store_newer", "")
}
