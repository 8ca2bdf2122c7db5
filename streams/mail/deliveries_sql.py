"""Every statement on ``tailrace.mail_deliveries``. Those for many sort by key, so that no two wait for each other."""

from sqlalchemy import text

KEYS = """
    unnest(CAST(:templates AS text[]), CAST(:user_ids AS text[]), CAST(:causes AS text[]), CAST(:run_ids AS uuid[]),
           CAST(:attempts AS int[]), CAST(:takeovers AS int[]), CAST(:message_ids AS text[]),
           CAST(:recipients AS text[]), CAST(:subjects AS text[]), CAST(:errors AS text[]))
    WITH ORDINALITY AS want (template, user_id, cause, run_id, attempt, takeovers, message_id, recipient, subject,
                             error, n)
"""

# Make the rows that there are not.
INSERT = text(f"""
    INSERT INTO tailrace.mail_deliveries
           (template, user_id, cause, message_id, recipient, subject, state, run_id, attempt, takeovers)
    SELECT template, user_id, cause, message_id, recipient, subject, 'intent', run_id, attempt, takeovers
      FROM {KEYS}
     ORDER BY template, user_id, cause
    ON CONFLICT (template, user_id, cause) DO NOTHING
""")  # noqa: S608 - of the constant above

# The rows, ours until COMMIT, and whether another run that has one is alive.
LOCK = text(f"""
    SELECT want.n, delivery.state, delivery.run_id = want.run_id AS same_run,
           delivery.run_id <> want.run_id AND EXISTS (
               SELECT 1 FROM tailrace.task_runs AS run
                WHERE run.id = delivery.run_id AND run.state = 'running'
                  AND run.lease_until > clock_timestamp()) AS with_another
      FROM {KEYS}
      JOIN tailrace.mail_deliveries AS delivery USING (template, user_id, cause)
     ORDER BY template, user_id, cause
       FOR UPDATE OF delivery
""")  # noqa: S608

# From now on this attempt is the one that sends it.
TAKE = text(f"""
    UPDATE tailrace.mail_deliveries AS delivery
       SET state = 'intent', run_id = want.run_id, attempt = want.attempt, takeovers = want.takeovers,
           recipient = want.recipient, subject = want.subject, error = NULL, updated_at = clock_timestamp()
      FROM {KEYS}
     WHERE (delivery.template, delivery.user_id, delivery.cause) = (want.template, want.user_id, want.cause)
""")  # noqa: S608

# Earlier attempts ended while the server may have taken the mail.
DOUBT = text(f"""
    UPDATE tailrace.mail_deliveries AS delivery
       SET uncertain = uncertain + 1, state = 'uncertain', updated_at = clock_timestamp()
      FROM {KEYS}
     WHERE (delivery.template, delivery.user_id, delivery.cause) = (want.template, want.user_id, want.cause)
       AND delivery.state = 'sending'
""")  # noqa: S608

# Nobody wants it. What may have gone stays in doubt.
SUPPRESS = text(f"""
    UPDATE tailrace.mail_deliveries AS delivery
       SET state = 'suppressed', error = want.error, updated_at = clock_timestamp()
      FROM {KEYS}
     WHERE (delivery.template, delivery.user_id, delivery.cause) = (want.template, want.user_id, want.cause)
       AND delivery.state <> 'uncertain'
""")  # noqa: S608

# One step of the attempts that have the rows; those of which another has taken the row are not returned.
MOVE = text(f"""
    UPDATE tailrace.mail_deliveries AS delivery
       SET state = :to, error = want.error, updated_at = clock_timestamp()
      FROM {KEYS}
     WHERE (delivery.template, delivery.user_id, delivery.cause) = (want.template, want.user_id, want.cause)
       AND delivery.state = ANY (CAST(:from_states AS text[]))
       AND (delivery.run_id, delivery.attempt, delivery.takeovers) = (want.run_id, want.attempt, want.takeovers)
    RETURNING want.n
""")  # noqa: S608

# The last attempt ended while the server may have taken the mail. Not where the run that has it goes on.
GIVE_UP = text("""
    UPDATE tailrace.mail_deliveries AS delivery
       SET uncertain = uncertain + 1, state = 'uncertain', updated_at = clock_timestamp()
     WHERE template = :template AND user_id = :user_id AND cause = :cause AND state = 'sending'
       AND NOT EXISTS (
               SELECT 1 FROM tailrace.task_runs AS run
                WHERE run.id = delivery.run_id AND run.state IN ('queued', 'running', 'parked'))
""")

# Whose mail this was.
RECIPIENT = text("SELECT recipient FROM tailrace.mail_deliveries WHERE message_id = :message_id")

# A mail that had been sent came back.
CAME_BACK = text("""
    UPDATE tailrace.mail_deliveries SET state = 'bounced', error = :error, updated_at = clock_timestamp()
     WHERE message_id = :message_id AND state IN ('sent', 'uncertain')
""")
