-- What was decided of versions is only added to: the judgements of the gate as well as the moves of aliases, and no table
-- of them can be emptied.

-- Up Migration
create trigger append_only_whole before truncate on alias_moves
  for each statement execute function refuse_to_rewrite_history();
create trigger append_only before update or delete on comparisons
  for each row execute function refuse_to_rewrite_history();
create trigger append_only_whole before truncate on comparisons
  for each statement execute function refuse_to_rewrite_history();

-- Down Migration
drop trigger append_only_whole on comparisons;
drop trigger append_only on comparisons;
drop trigger append_only_whole on alias_moves;
