package importer

import (
	"errors"
	"strings"
	"testing"

	"sunspool/health"
	"sunspool/vps/store/postgres"
)

// A URL of another kind is answered in plain words, without its password.
func TestURLOfAnotherDatabaseIsNamed(t *testing.T) {
	const secret = "hunter2-hunter2"
	for url, want := range map[string]string{
		"mysql://user:" + secret + "@db/solar": "for MySQL", "mysql+pymysql://user:" + secret + "@db/solar": "for MySQL", "MariaDB://user:" + secret + "@db/solar": "for MariaDB",
		"sqlite:///data/solar.db": "for SQLite", "sqlite+aiosqlite:///data/" + secret: "for SQLite", "mongodb://user:" + secret + "@db": "for MongoDB",
		"redis://:" + secret + "@cache:6379": "for Redis", "https://user:" + secret + "@db.example.org": "address of a web server", "file:///data/" + secret: "address of a file",
		"postgresql+psycopg2://user:" + secret + "@db/solar": "driver of Python", "postgre://user:" + secret + "@db/solar": "does not begin with postgres://",
		secret + "://db/solar": "does not begin with postgres://", "://" + secret: "does not begin with postgres://",
	} {
		said := postgres.WrongURL(url)
		if !strings.Contains(said, want) || !strings.Contains(said, "postgres://user:password@host:5432/database") || strings.Contains(said, "keyword") {
			t.Errorf("%s: %s", url, said)
		}
		_, err := OpenOriginal(t.Context(), url)
		if f, ok := errors.AsType[*health.Fault](err); !ok || !strings.Contains(f.Why, want) {
			t.Errorf("%s of the Python server: %+v", url, f)
		}
		if strings.Contains(said+err.Error(), secret) {
			t.Errorf("%s: the secret is repeated: %s, %v", url, said, err)
		}
	}
	for _, good := range []string{"postgres://u:p@h/d", "postgresql://u:p@h/d?sslmode=disable", "host=h user=u dbname=d", "postgresql+asyncpg://u:p@h/d"} {
		if said := postgres.WrongURL(good); said != "" {
			t.Errorf("%s: %s", good, said)
		}
	}
}
